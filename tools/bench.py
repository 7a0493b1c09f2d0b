"""How fast diffmem is, beside plain PyTorch, its peers and this machine's limit: python tools/bench.py

Everything is measured in one process, the implementations in turn; the table gives medians, and how many times as fast
as the plain implementation each one is. ``--quick`` shrinks every size and shows that all of it runs; its times mean
nothing. The peers come with ``pip install -e ".[bench]"``.
"""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import torch
from benchmarks import framework, metrics, network, preparation, theory
from benchmarks.timing import PLAIN, Measurement, Scale
from rich.console import Console
from rich.table import Table

from diffmem.command_line import Parser
from diffmem.files import write_atomic
from diffmem.models.ddpm import CompileMode

_BENCHMARKS = {
    "training": network.training,
    "sampling": network.sampling,
    "memorization": metrics.memorization,
    "frechet": metrics.frechet,
    "evaluation": framework.evaluation,
    "overhead": framework.overhead,
    "spectrum": theory.spectrum,
    "dynamics": theory.dynamics,
    "preparation": preparation.preparation,
}


def table(measurements: list[Measurement]) -> Table:
    """One row for each implementation."""
    made = Table(title="× plain: how many times as fast as the plain implementation")
    made.add_column("measurement")
    made.add_column("implementation")
    made.add_column("time", justify="right")
    made.add_column("× plain", justify="right")
    for each in measurements:
        for place, name in enumerate(each.seconds):
            last = place == len(each.seconds) - 1
            title = each.title if place == 0 else ""
            ratio = f"{each.speedup(name):.2f}"
            made.add_row(title, name, f"{_duration(each.median(name))} / {each.unit}", ratio, end_section=last)
    return made


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def machine(device: torch.device) -> dict[str, object]:
    """What the figures were taken on."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "lightning", "torchmetrics", "numpy", "scipy")},
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> int:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: does it run?")
    parser.add_argument("--only", nargs="+", choices=_BENCHMARKS, default=list(_BENCHMARKS), help="which to measure")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all implementations (default 5)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--compile", choices=get_args(CompileMode), help="a compiled network as well; takes minutes")
    parser.add_argument("--out", type=Path, help="write all rounds to this JSON file")
    arguments = parser.parse_args()
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device: got {arguments.device}, expected a GPU that torch sees; use --device=cpu")
    if arguments.rounds < 1:
        parser.error(f"--rounds: got {arguments.rounds}, expected at least 1")
    torch.backends.cudnn.benchmark = True  # for all alike
    scale = Scale(
        arguments.quick, 1 if arguments.quick else arguments.rounds, torch.device(arguments.device), arguments.compile
    )
    console, progress = Console(), Console(stderr=True)
    measurements = []
    for name in arguments.only:
        with progress.status(f"measuring {name}"):
            measurements += _BENCHMARKS[name](scale)
    console.print(table(measurements))
    for note in dict.fromkeys(note for each in measurements for note in each.notes):
        console.print(f"- {note}", soft_wrap=True)
    if arguments.out:
        record = {"machine": machine(scale.device), "quick": arguments.quick, "compared_with": PLAIN}
        record["measurements"] = [each.as_dict() for each in measurements]
        write_atomic(arguments.out, json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

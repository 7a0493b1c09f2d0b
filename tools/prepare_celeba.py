"""Make the image array of a study: python tools/prepare_celeba.py --source PATH --size 32 --out celeba32.npy"""

from __future__ import annotations

import argparse
import io
import sys
import time
from pathlib import Path

import torch
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torchvision import transforms

from diffmem.command_line import Parser, exit_code_of
from diffmem.data.preparation import open_source, prepare
from diffmem.errors import EXIT_DONE, EXIT_INTERRUPTED, DataError


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        help="img_align_celeba, its zip, a folder of parquet shards or of pictures",
    )
    parser.add_argument("--size", type=int, default=32, help="height and width in pixels (default: 32)")
    parser.add_argument(
        "--out", type=Path, required=True, help="file to write, ending in .npy; its record ends in .json"
    )
    parser.add_argument("--rgb", action="store_true", help="keep the colours")
    parser.add_argument(
        "--attributes",
        type=Path,
        metavar="FILE",
        help="labels: list_attr_celeba.txt, or a CSV file of file names and attributes "
        "(default: columns of parquet files, folders of classes)",
    )
    parser.add_argument(
        "--on-error", choices=("refuse", "skip"), default="refuse", help="what to do about an unreadable file"
    )
    parser.add_argument("--workers", type=int, help="processes (default: one for each core)")
    parser.add_argument("--benchmark", action="store_true", help="compare with a plain torchvision loop on a sample")
    return parser.parse_args(arguments)


def time_plain_loop(source: Path, size: int, rgb: bool, skipped: set[str], sample: int = 500) -> float:
    """Pictures per second of the usual one-process loop, over up to ``sample`` readable pictures spread evenly.

    It runs with one torch thread: on pictures this small more only wait for each other.
    """
    torch.set_num_threads(1)
    pictures = open_source(source)
    readable = [position for position, name in enumerate(pictures.names) if name not in skipped]
    steps = [transforms.ToTensor(), transforms.Resize(size, antialias=True), transforms.CenterCrop(size)]
    transform = transforms.Compose(steps if rgb else [*steps, transforms.Grayscale(1)])
    chosen = readable[:: -(-len(readable) // sample)]
    start = time.perf_counter()
    for position in chosen:
        transform(Image.open(io.BytesIO(pictures.read(position))).convert("RGB"))
    return len(chosen) / (time.perf_counter() - start)


def main(args: list[str] | None = None) -> int:
    options = parse_arguments(args)
    return exit_code_of(lambda: _prepare(options))


def _prepare(options: argparse.Namespace) -> int:
    console = Console(stderr=True)
    console.quiet = not console.is_terminal
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]:.0f} images/s"), TimeRemainingColumn())
    start = time.perf_counter()
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=None, rate=0.0)

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total, rate=done / (time.perf_counter() - start))

            record = prepare(
                options.source,
                options.size,
                options.out,
                options.rgb,
                options.on_error,
                options.workers,
                show,
                options.attributes,
            )
        rate = record["count"] / (time.perf_counter() - start)
        print(f"{options.out}: {record['count']} images, {rate:.0f} images/s, SHA-256 {record['sha256']}")
        for name, values in record.get("labels", {}).get("attributes", {}).items():
            shown = ", ".join(values if len(values) <= 10 else [*values[:9], f"… ({len(values)} in all)"])
            print(f"labels {name}: {shown}")
        for entry in record["skipped"]:
            print(f"skipped {entry['name']}: {entry['reason']}")
        if options.benchmark:
            names = {entry["name"] for entry in record["skipped"]}
            plain = time_plain_loop(options.source, options.size, options.rgb, names)
            print(f"plain torchvision loop: {plain:.0f} images/s; this run was {rate / plain:.1f} times as fast")
    except OSError as error:
        raise DataError(
            str(options.out),
            got=str(error),
            expected="an array to be written",
            remedy="check the disk, the permissions, and that no other run writes the same file",
        ) from error
    except KeyboardInterrupt:
        print(f"interrupted; {options.out} was not written", file=sys.stderr)
        return EXIT_INTERRUPTED
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())

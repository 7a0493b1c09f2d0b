"""The architecture as an import order, read from the source."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [
    {
        "__init__",
        "command_line",
        "errors",
        "files",
        "limits",
        "ranks",
        "rng",
        "roles",
        "shipped",
        "startup",
        "steps",
        "text",
        "transfer",
    },
    {"diffusion", "metrics", "networks", "optim", "theory"},
    {"data", "models"},
    {"runs"},
    {"analysis", "jobs"},
    {"callbacks"},
    {"config"},
    {"revisit"},
    {"__main__", "compare", "evaluate", "fit", "init", "regions", "report", "sample", "status", "twins"},
]
#: What reads runs, or starts and lists them, on a machine without torch.
TORCH_FREE = {
    *("__main__", "analysis", "command_line", "compare", "errors", "files", "init", "jobs", "runs"),
    *("report", "roles", "shipped", "startup", "status", "steps", "text"),
}
#: What of these meets Lightning.
WITH_TORCH = {"jobs/launch.py"}
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def imports(path: Path) -> Iterator[str]:
    """Dotted names that ``path`` imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> Iterator[tuple[str, Path]]:
    """(layer member, file) of the package."""
    for path in sorted((ROOT / "diffmem").rglob("*.py")):
        yield path.relative_to(ROOT / "diffmem").parts[0].removesuffix(".py"), path


def member(name: str) -> str | None:
    """The part of diffmem that a dotted import lands in."""
    package, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    return (part if part in RANK else "__init__") if package == "diffmem" else None


def test_every_module_has_a_layer():
    assert {part for part, _ in modules()} <= set(RANK)


@pytest.mark.parametrize(("part", "path"), list(modules()), ids=lambda value: str(value).rpartition("diffmem/")[2])
def test_imports_go_one_way(part, path):
    for name in imports(path):
        target = member(name)
        if path == ROOT / "diffmem/__init__.py":
            continue  # the door of the package, which imports when it is asked
        assert target is None or RANK[target] <= RANK[part], f"{part} imports {name}"


def test_what_reads_runs_needs_no_torch():
    for part, path in modules():
        if part in TORCH_FREE and str(path.relative_to(ROOT / "diffmem")) not in WITH_TORCH:
            found = {name.partition(".")[0] for name in imports(path)}
            assert not found & {"torch", "lightning", "torchmetrics", "torchvision"}, path
            assert {member(name) for name in imports(path)} <= {*TORCH_FREE, "__init__", None}, path


def test_the_pure_layers_know_no_lightning():
    for part, path in modules():
        if RANK[part] <= 1 or part in ("analysis", "runs"):
            assert not any(name.startswith("lightning") for name in imports(path)), path


@pytest.mark.parametrize(
    ("package", "files"),
    [
        ("wandb", {"callbacks/wandb.py", "analysis/wandb.py"}),
        ("jsonargparse", set()),
        ("lightning.pytorch.cli", {"config/parser.py"}),
        ("torch_fidelity", {"metrics/features.py"}),
    ],
)
def test_a_library_is_met_in_one_place(package, files):
    users = {
        str(path.relative_to(ROOT / "diffmem"))
        for _, path in modules()
        if any(name == package or name.startswith(f"{package}.") for name in imports(path))
    }
    assert users <= files


#: Tables of the keys of a config that a run's identity is read from.
TABLES_OF_KEYS = {"analysis/comparable.py", "analysis/factors.py"}


def strings(path: Path) -> Iterator[str]:
    """All strings of ``path`` and parts of them, but docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value


def test_pure_layers_name_no_key_of_a_config_or_option():
    """The names of options are added where the command line is known; a docstring may name them."""
    from diffmem.callbacks import GROUPS

    groups = "|".join([*GROUPS, "model", "data", "optimizer", "lr_scheduler", "trainer"])
    named = re.compile(rf"(^|\W)--[a-z]|\b({groups})\.(?!(csv|json)\b)[a-z_]+")
    for part, path in modules():
        if part in ("diffusion", "metrics", "networks", "optim", "analysis"):
            found = [each for each in strings(path) if named.search(each)]
            assert not found or str(path.relative_to(ROOT / "diffmem")) in TABLES_OF_KEYS, (path, found)


def test_nothing_imports_the_tools_or_the_tests():
    for _, path in modules():
        assert not {name.partition(".")[0] for name in imports(path)} & {"tools", "tests"}


def test_only_rng_makes_seeds():
    for _, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("manual_seed", "seed_everything"):
                assert path.name == "rng.py", path


def test_diffmem_itself_is_imported_at_once():
    """No heavy package comes with ``import diffmem``."""
    code = "import sys, diffmem; print(len({'torch', 'lightning', 'numpy', 'pandas', 'wandb'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "0"

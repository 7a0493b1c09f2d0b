"""Every README keeps its word: programs run, commands parse, tables are what is printed, links lead somewhere."""

import contextlib
import inspect
import re
import shlex

import pytest
import torch
from small_run import ROOT

from diffmem import compare
from diffmem.analysis.comparison import Rules
from diffmem.analysis.comparison import compare as compare_runs
from diffmem.analysis.effects import effects_against
from diffmem.analysis.report import table_rows
from diffmem.analysis.runs import read_runs
from diffmem.config.parser import _LINKS, CLI, GROUPS
from diffmem.errors import DataError
from diffmem.files import read_table

FOLDERS = [
    str(page.parent.relative_to(ROOT))
    for top in (".", "configs", "diffmem", "sbatch", "tests", "tools")
    for page in sorted((ROOT / top).glob("README.md" if top == "." else "**/README.md"))
]
READMES = {folder: (ROOT / folder / "README.md").read_text() for folder in FOLDERS}
README, STUDY, KEYS = READMES["."], READMES["tests/analysis/digits_sgd_adam"], READMES["configs"]


def headings(text: str) -> set[str]:
    """Anchors as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(text: str, module: str) -> list[list[str]]:
    """Arguments of the complete calls of ``module`` in the text's blocks; what a shell fills in is a 64."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)).replace("\\\n", " ")
    calls = re.findall(rf"python -m {re.escape(module)} ([^;\n#]*)", blocks)
    shell = re.compile(r"\$\(\([^)]*\)\)|\$\w+")
    return [shlex.split(shell.sub("64", call)) for call in calls if "…" not in call]


def test_the_first_page_is_read_in_ten_minutes():
    assert len(README.splitlines()) <= 200


def test_the_callbacks_work_in_a_lightning_project_of_ones_own(tmp_path, monkeypatch, capsys, caplog):
    (program,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program.replace("max_steps=1000", "max_steps=3"), {})
    rows = read_table(tmp_path / "mine/evaluations.csv")
    assert [row["step"] for row in rows] == ["0", "3"]
    assert {"f_mem", "frechet_pixels", "loss_test"} <= rows[0].keys()
    shown = capsys.readouterr()
    assert "step 3/3 · loss" in shown.out
    assert not {"Epoch", "weights_only"} & set(re.findall(r"\w+", shown.out + shown.err + caplog.text))
    with pytest.raises(DataError, match="the table of an earlier training"):
        exec(program.replace("max_steps=1000", "max_steps=2"), {})
    assert read_table(tmp_path / "mine/evaluations.csv") == rows
    assert compare.main(["mine", "--out", "comparison"]) == 0


def test_a_loop_without_lightning_keeps_weights_until_copies_appear():
    programs = re.findall(r"```python\n(.*?)```", READMES["diffmem"], flags=re.DOTALL)
    (program,) = (each for each in programs if "StoppingRule" in each)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(32, 5, generator=generator)
    steps, kept = [], []

    def draw_samples(count):
        """Copies from step 2,000 on."""
        samples = torch.rand(count, 5, generator=generator)
        return images[torch.arange(count) % 32] + 1e-3 * samples if len(steps) >= 2000 else 100 * samples

    mine = {"images": images, "train_one_step": lambda: steps.append(None), "draw_samples": draw_samples}
    exec(program, {**mine, "save_weights": kept.append})
    assert kept == [500, 1000, 1500] and len(steps) == 2000


def comparisons() -> list[str]:
    """Every call of ``compare`` on the tables kept here, in blocks and in sentences."""
    found = re.findall(r"python -m diffmem\.compare ([^`#\n]*tests/analysis[^`#\n]*)", "\n".join(READMES.values()))
    return sorted({call.partition(" --out ")[0].strip() for call in found})


@pytest.mark.parametrize("call", comparisons(), ids=str)
def test_the_tables_kept_here_are_compared_as_the_readmes_say(call, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = [str(path) for word in shlex.split(call) for path in (sorted(ROOT.glob(word)) if "*" in word else [word])]
    options = compare.parser().parse_args([*words, "--draws=100"])
    runs = compare.runs_of(options)
    found = compare_runs(runs, compare.rules_of(options, runs))
    assert sorted(each.run.name for group in found.groups for each in group.runs) == sorted(run.name for run in runs)
    if options.against:
        assert len(effects_against(found, options.against).rows) > 1


def test_the_table_of_the_study_is_what_its_command_prints():
    comparison = compare_runs(read_runs([ROOT / "tests/analysis/digits_sgd_adam"]), Rules())
    rows = [row[:7] for row in table_rows(comparison)]  # without τ_overfit
    assert len(rows) == 10
    assert [row for row in rows if f"| {' | '.join(row)} |" not in STUDY] == []
    short = [[*row[:5], row[6]] for row in rows]  # nor the difference
    assert [row for row in short if f"| {' | '.join(row)} |" not in README] == []
    laws = [group.laws[name].interval_text.replace("-", "−") for group in comparison.groups for name in ("gen", "mem")]
    assert [law for law in laws if law not in STUDY] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_a_readme_names_exists(folder):
    text = READMES[folder]
    named = re.findall(r"(?<![\w/.])(?:\.github|configs|diffmem|sbatch|tests|tools)/[\w./-]*\w", text)
    named = [name for name in named if "/X." not in name]  # any name
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert named or links
    assert [name for name in named if not (ROOT / name).exists()] == []
    for link in links:
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = (ROOT / folder / path) if path else ROOT / folder / "README.md"
            assert target.exists(), link
            page = target / "README.md" if target.is_dir() else target
            assert not anchor or anchor in headings(page.read_text()), link


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_calls_of_fit_are_understood(folder, monkeypatch, tmp_path):
    for arguments in commands(READMES[folder], "diffmem.fit"):
        monkeypatch.chdir(ROOT)
        with contextlib.suppress(DataError):  # a file of the reader's own
            CLI([*arguments, f"--run_root={tmp_path}"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_command_is_tested_or_says_when_it_was_last_run(folder):
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", READMES[folder], flags=re.DOTALL)).replace("\\\n", " ")
    lines = [line for line in blocks.splitlines() if line.strip()]
    said = re.compile(r"#.*(tested|last run 20\d\d-\d\d-\d\d|not run|not a command to test)")
    assert [line for line in lines if not said.search(line)] == []


def test_every_key_of_a_measurement_is_documented_with_its_default():
    documented = {}
    for names, default in re.findall(r"^\| (`.*?) \| .* \| ([^|]*) \|$", KEYS, flags=re.MULTILINE):
        keys = re.findall(r"`([^`]*)`", names)
        documented |= dict(zip(keys, default.split(", ") if len(keys) > 1 else [default], strict=False))
    linked = {target for targets in _LINKS.values() for target in targets}
    wanted = {
        key: as_text(parameter.default)
        for group, callback in GROUPS.items()
        for name, parameter in inspect.signature(callback).parameters.items()
        if (key := f"{group}.{name}") not in linked
    }
    assert {key: documented.get(key) for key in wanted} == wanted


def as_text(value: object) -> str:
    """A default as the table of keys writes it."""
    if isinstance(value, float):
        return "1/3" if value == 1 / 3 else f"{value:g}"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

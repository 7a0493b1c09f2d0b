"""Which runs may be compared: refused by name where they were not measured or configured alike."""

from collections import defaultdict
from collections.abc import Sequence

from diffmem.analysis.runs import Run
from diffmem.errors import DataError, ParameterError

SYMBOLS = {"num_parameters": "p"}
_MAX_SHOWN = 4
#: Columns that say how f_mem, samples and losses were measured.
_PROTOCOL = ("threshold", "sampler", "loss_t")
_NOT_SETTING = ("seed", "data.n", "data.index")
_SETTING_COLUMNS = ("model", "num_parameters", "optimizer", "lr", "labels", "weights", "guidance", "sampler")


def group_runs(runs: Sequence[Run], by: Sequence[str]) -> dict[str, list[Run]]:
    """Runs by the values of their identity columns ``by``; a group holds one setting at several n, indices and seeds.

    Raises:
        ParameterError: A run lacks a column of ``by``.
        DataError: Runs of one group differ in more than n, index and seed, or a run is there twice.
    """
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        for column in by:
            if column not in run.identity:
                raise ParameterError(
                    "by",
                    got=f"{column!r}, which {run.name} lacks",
                    expected=f"some of {', '.join(run.identity)}",
                    remedy="group by a column that every run has",
                )
        values = {column: run.identity[column] for column in by}
        label = ", ".join(_value_text(column, value) for column, value in values.items())
        groups[label].append(run)
    for label, members in groups.items():
        _refuse_mixed_settings(label, members)
        _refuse_repeated_runs(members)

    def order(item: tuple[str, list[Run]]) -> list[tuple[bool, int | float | str]]:
        values = [item[1][0].identity[column] for column in by]
        return [(isinstance(value, str), value) for value in values]

    return dict(sorted(groups.items(), key=order))


def _value_text(column: str, value: int | float | str) -> str:
    """The value alone where it tells what it is of."""
    telling = isinstance(value, str) and column not in ("labels", "weights")
    return str(value) if telling else f"{SYMBOLS.get(column, column)} = {value}"


def columns_apart(runs: Sequence[Run]) -> tuple[str, ...]:
    """The identity columns by which to group ``runs`` so that each group holds one setting, as few as do.

    ``setting`` where no others do, for example because a rate of dropout differs; ``optimizer``, or ``n`` for runs that
    do not name theirs, where all are of one setting.
    """
    shared = [name for name in _SETTING_COLUMNS if all(name in run.identity for run in runs)]
    found = [name for name in shared if len({run.identity[name] for run in runs}) > 1]
    if not _separate(runs, found):
        return ("setting",) if all("setting" in run.identity for run in runs) else tuple(found)
    for name in ("num_parameters", "lr", *_SETTING_COLUMNS):
        fewer = [column for column in found if column != name]
        if name in found and fewer and _separate(runs, fewer):
            found = fewer
    return tuple(found) or ("optimizer" if "optimizer" in shared else "n",)


def _separate(runs: Sequence[Run], by: Sequence[str]) -> bool:
    """Whether runs of the same values in ``by`` are of the same setting."""
    first: dict[tuple[object, ...], Run] = {}
    return all(_same_setting(run, first.setdefault(tuple(run.identity[name] for name in by), run)) for run in runs)


def columns_of_settings(runs: Sequence[Run]) -> tuple[str, ...]:
    """The identity columns that tell trainings, and views of them, from each other: by these ``--against`` groups.

    ``setting``, and ``sampler`` where ``runs`` have several: it is no part of the training, so it has no part in the
    hash, and with it the samples differ.
    """
    samplers = {run.identity.get("sampler") for run in runs}
    return ("setting",) if len(samplers - {None}) < 2 or None in samplers else ("setting", "sampler")


def refuse_different_protocols(runs: Sequence[Run], quality: str, by: Sequence[str] = ()) -> None:
    """Columns are compared only where they mean the same in all runs.

    f_mem rises with the threshold; a Fréchet distance falls with the number of samples and depends on the held-out set;
    all samples depend on the sampler and its steps; losses on their diffusion time. What else the runs measured, and
    how often, may differ. A column that a table lacks says nothing.

    Args:
        runs: The runs to compare.
        quality: Column of the quality.
        by: Columns by which the runs are told apart, and which may therefore differ.

    Raises:
        DataError: Runs differ in a column that says how a compared one was measured.
    """
    of_quality = ("protocol",) if quality == "fid" else ("num_samples", "num_test", "test_index")
    for name in (*_PROTOCOL, *of_quality):
        found: dict[float | str, str] = {}
        for run in runs if name not in by else ():
            if name in run.identity:
                found.setdefault(run.identity[name], run.name)
            elif name in run.table.columns:
                values = run.table[name].dropna().unique().tolist()
                # a refined row pools several sets of as many samples as the others have
                for value in [min(values)] if name == "num_samples" and values else values:
                    found.setdefault(value, run.name)
        if len(found) > 1:
            both = list(found.items())[:2]
            shown = " and ".join(f"{value if isinstance(value, str) else f'{value:g}'} ({run})" for value, run in both)
            raise DataError(
                name,
                got=shown,
                expected="the same in all runs",
                remedy="measure one of them again with diffmem.evaluate, or leave it out",
            )


def _refuse_mixed_settings(label: str, runs: Sequence[Run]) -> None:
    others = [run for run in runs if not _same_setting(run, runs[0])]
    if not others:
        return
    alike = [run for run in runs if _same_setting(run, runs[0])]
    first, other = (next((run for run in members if run.training()), members[0]) for members in (alike, others))
    columns = _differing_columns(first, other)
    keys = _differing_keys(first, other) or [
        f"{name} {first.identity.get(name, 'missing')} and {other.identity.get(name, 'missing')}"
        for name in columns or ["setting"]
    ]
    more = f" and {len(keys) - _MAX_SHOWN} more" if len(keys) > _MAX_SHOWN else ""
    apart = "study" if first.identity.get("study") != other.identity.get("study") else "setting"
    raise DataError(
        f"group {label!r}",
        got=f"two settings, {first.name} and {other.name}, which differ in {'; '.join(keys[:_MAX_SHOWN])}{more}",
        expected="runs that differ in n, index and seed alone",
        remedy=f"compare by {','.join(dict.fromkeys(['optimizer', *(columns or [apart])]))}, or leave one out",
    )


def _same_setting(a: Run, b: Run) -> bool:
    """Whether two runs are of one curve τ(n). Hashes of different schemata say nothing: their columns decide."""
    hashed = all("setting" in run.identity for run in (a, b))
    if hashed and a.identity.get("schema") == b.identity.get("schema"):
        return a.identity["setting"] == b.identity["setting"]
    return not _differing_columns(a, b)


def _differing_columns(a: Run, b: Run) -> list[str]:
    """The columns of a setting in which two runs differ; one of the protocol that a table lacks says nothing."""
    return [
        name
        for name in _SETTING_COLUMNS
        if a.identity.get(name) != b.identity.get(name)
        and not (name in _PROTOCOL and None in (a.identity.get(name), b.identity.get(name)))
    ]


def _refuse_repeated_runs(runs: Sequence[Run]) -> None:
    """A copy of a run is no second seed."""
    seen: dict[tuple[object, ...], Run] = {}
    for run in runs:
        if not {"seed", "index"} & set(run.identity):
            continue
        key = (run.n, run.identity.get("index"), run.identity.get("seed"))
        if key in seen:
            raise DataError(
                f"n = {run.n}, index {key[1]}, seed {key[2]}",
                got=f"two runs, {seen[key].name} and {run.name}",
                expected="each seed and index once",
                remedy="leave one out",
            )
        seen[key] = run


def _differing_keys(a: Run, b: Run) -> list[str]:
    """Keys of two trainings that differ, with both values; [] where one has no ``identity.json``."""
    first, other = a.training(), b.training()
    if not (first and other):
        return []
    keys = [key for key in sorted({*first, *other}) if key not in _NOT_SETTING and first.get(key) != other.get(key)]
    return [f"{key} {first.get(key, 'default')} and {other.get(key, 'default')}" for key in keys]

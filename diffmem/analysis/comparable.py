"""Which runs may be compared: refused by name where they were not measured or configured alike."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from diffmem.analysis.runs import FREE, IDENTITY, Run
from diffmem.errors import ConfigError, DataError
from diffmem.runs.identity import RunIdentity

SYMBOLS = {"num_parameters": "p"}
_MAX_SHOWN = 4


def group_runs(runs: Sequence[Run], by: Sequence[str]) -> dict[str, list[Run]]:
    """Runs by the values of their identity columns ``by``; a group holds one setting at several n, indices and seeds.

    Raises:
        ConfigError: A run lacks a column of ``by``.
        DataError: Runs of one group differ in more than n, index and seed, or a run is there twice.
    """
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        for column in by:
            if column not in run.identity:
                raise ConfigError(
                    "--by",
                    got=f"{column!r}, which {run.name} lacks",
                    expected=f"some of {', '.join(run.identity)}",
                    remedy="group by a column that every run has",
                )
        values = {column: run.identity[column] for column in by}
        label = ", ".join(v if isinstance(v, str) else f"{SYMBOLS.get(c, c)} = {v}" for c, v in values.items())
        groups[label].append(run)
    for label, members in groups.items():
        _refuse_mixed_settings(label, members)
        _refuse_repeated_runs(members)

    def order(item: tuple[str, list[Run]]) -> list[tuple[bool, int | float | str]]:
        values = [item[1][0].identity[column] for column in by]
        return [(isinstance(value, str), value) for value in values]

    return dict(sorted(groups.items(), key=order))


def refuse_different_measurements(runs: Sequence[Run]) -> None:
    """Values are compared only where they come from as many samples, the same threshold and the same FID protocol.

    A Fréchet distance falls with the number of samples, and f_mem rises with the threshold.

    Raises:
        DataError: Runs differ in ``num_samples``, ``threshold`` or ``protocol``.
    """
    for name in ("num_samples", "threshold", "protocol"):
        found: dict[float | str, str] = {}
        for run in runs:
            if name in run.table.columns:
                for value in run.table[name].dropna().unique().tolist():
                    found.setdefault(value, run.name)
        if len(found) > 1:
            both = list(found.items())[:2]
            shown = " and ".join(f"{value if isinstance(value, str) else f'{value:g}'} ({run})" for value, run in both)
            raise DataError(
                name, got=shown, expected="the same in all runs", remedy="evaluate them alike or leave runs out"
            )


def _refuse_mixed_settings(label: str, runs: Sequence[Run]) -> None:
    with_setting = all("setting" in run.identity for run in runs)
    columns = ["setting"] if with_setting else [name for name in IDENTITY if name not in (*FREE, "setting")]

    def settings(run: Run) -> dict[str, object]:
        return {name: run.identity[name] for name in columns if name in run.identity}

    others = [run for run in runs if settings(run) != settings(runs[0])]
    if not others:
        return
    alike = [run for run in runs if settings(run) == settings(runs[0])]
    first, other = (next((run for run in members if run.config()), members[0]) for members in (alike, others))
    keys = _differing_keys(first, other)
    for names in ([name for name in IDENTITY if name not in (*FREE, "setting")], ["setting"]):
        keys = keys or [
            f"{name} {first.identity.get(name, 'missing')} and {other.identity.get(name, 'missing')}"
            for name in names
            if first.identity.get(name) != other.identity.get(name)
        ]
    more = f" and {len(keys) - _MAX_SHOWN} more" if len(keys) > _MAX_SHOWN else ""
    raise DataError(
        f"group {label!r}",
        got=f"two settings, {first.name} and {other.name}, which differ in {'; '.join(keys[:_MAX_SHOWN])}{more}",
        expected="runs that differ in n, index and seed alone",
        remedy="separate them with --by, e.g. --by optimizer,lr,study, or leave one out",
    )


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
    """Keys of the two ``config.yaml`` that make their settings differ, with both values; [] without these files."""
    configs = [run.config() for run in (a, b)]
    if not all(configs):
        return []
    flat = [_flatten(config) for config in configs]
    keys = [key for key in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(key) != flat[1].get(key)]
    return [f"{key} {flat[0].get(key, 'missing')} and {flat[1].get(key, 'missing')}" for key in keys if _matters(key)]


def _matters(key: str) -> bool:
    """Whether ``key`` of the config is part of the setting."""

    def setting(value: str) -> str:
        config: dict[str, Any] = {}
        place = config
        *parents, leaf = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
        return RunIdentity(config).setting

    return setting("a") != setting("b")


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat

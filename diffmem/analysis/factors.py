"""What sets runs apart from a baseline, found from what each run says of its training."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diffmem.analysis.comparison import Comparison, Group, RunTimes
from diffmem.analysis.runs import DEFAULT_VIEW
from diffmem.errors import DataError, ParameterError

RATE = "optimizer.lr"
#: Keys in which the runs of one group differ.
_FREE = ("seed", "data.n", "data.index")
_CLASSES = ("optimizer", "model", "model.network", "data", "lr_scheduler")


Pair = tuple[int, int | float | str | None, int | float | str | None]


@dataclass(frozen=True)
class Setting:
    """The runs that differ in n, index and seed alone.

    Attributes:
        training: Keys that shape the weights and differ from their defaults, and those of the view; the rate is always
            among them, and ``sampler`` where the runs have several.
        runs: The runs, by (n, index, seed).
    """

    training: Mapping[str, Any]
    runs: Mapping[Pair, RunTimes]

    @property
    def rate(self) -> float:
        return float(self.training[RATE])


def settings_of(comparison: Comparison) -> list[Setting]:
    """The settings of a comparison whose groups are the settings.

    Raises:
        DataError: A run without ``identity.json``, which says how it was trained.
    """
    return [_setting(group, comparison.rules.by) for group in comparison.groups]


def _setting(group: Group, by: Sequence[str]) -> Setting:
    identity = group.runs[0].run.identity
    training = group.runs[0].run.training()
    if not training or "lr" not in identity:
        raise DataError(
            group.runs[0].run.name,
            got="no identity.json" if not training else "no column lr",
            expected="what the run was trained with",
            remedy="put the run's identity.json beside its evaluations.csv, or leave the run out",
        )
    kept = {key: value for key, value in training.items() if key not in _FREE}
    runs = {(each.run.n, each.run.identity.get("index"), each.run.identity.get("seed")): each for each in group.runs}
    view = {"sampler": identity["sampler"]} if "sampler" in by else {}
    return Setting({**kept, **view, RATE: identity["lr"]}, runs)


def find_baseline(settings: Sequence[Setting], against: str) -> Setting:
    """The setting that ``KEY=VALUE[,…]`` means.

    Where several have these values, it is the one from which all others differ in the fewest keys together: the centre
    of a study that changes one thing at a time.

    Args:
        settings: All settings.
        against: Keys, whole or the end of one, and their values; ``default`` for a key at its default.

    Raises:
        ParameterError: A key that no run has, no setting with these values, or several in the centre.
    """
    import yaml

    known = sorted({key for each in settings for key in each.training})
    found = list(settings)
    for item in _items(against):
        written, equals, text = item.partition("=")
        keys = [key for key in known if key == written] or [key for key in known if key.endswith(f".{written}")]
        if not equals or len(keys) != 1:
            raise ParameterError(
                "against", got=item, expected=f"KEY=VALUE with a key of {', '.join(known)}", remedy="name the key"
            )
        values: tuple[object, ...] = (text,)  # labels may be called true, which YAML takes for a truth value
        with contextlib.suppress(yaml.YAMLError):
            values = (yaml.safe_load(text), text)
        found = [each for each in found if any(_has(each.training, keys[0], value) for value in values)]
    if not found:
        raise ParameterError("against", got=against, expected="values that some run has", remedy=None)
    nearest = central(found, settings)
    if len(nearest) > 1:
        keys = sorted(_differing(nearest[0].training, nearest[1].training))
        raise ParameterError(
            "against",
            got=f"{against}, which {len(nearest)} settings have that are as near to the others",
            expected="one baseline",
            remedy=f"add a value of {' or '.join(keys)}",
        )
    return nearest[0]


def _has(training: Mapping[str, Any], key: str, value: object) -> bool:
    """Whether ``key`` has this value; where it is at its default, that of a view may be named as well."""
    if key in training:
        return _alike(training[key], value)
    return value == "default" or (key in DEFAULT_VIEW and _alike(DEFAULT_VIEW[key], value))


def central(among: Sequence[Setting], settings: Sequence[Setting]) -> list[Setting]:
    """Those of ``among`` from which all ``settings`` differ in the fewest keys together."""
    distance = [sum(len(_differing(one.training, other.training)) for other in settings) for one in among]
    return [one for one, far in zip(among, distance, strict=True) if far == min(distance)]


def factor_of(training: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    """What ``training`` differs in from ``baseline``, as ``key=value, …``.

    The rate is named where it is the only difference. A class that differs brings its own values along; those of the
    baseline's class that it does not have are no difference.
    """
    keys = _differing(training, baseline)
    keys = [key for key in keys if key != RATE] or keys
    others = [key for key in keys if key in _CLASSES]
    own = [key for key in training if key != RATE and _owner(key, others)]  # as in the baseline or not
    parts = []
    for key in sorted({*keys, *own}, key=lambda key: (_owner(key, others) or key, key not in others, key)):
        owner = _owner(key, others)
        if owner is None or key == owner:
            parts.append(f"{key}={_text(training.get(key, 'default'))}")
        elif key in training:
            parts.append(f"{key.removeprefix(f'{owner}.')}={_text(training[key])}")
    return ", ".join(parts)


def _owner(key: str, classes: Sequence[str]) -> str | None:
    """The longest of ``classes`` that ``key`` is, or is an argument of."""
    return max((each for each in classes if key == each or key.startswith(f"{each}.")), key=len, default=None)


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return [key for key in {**a, **b} if not _alike(a.get(key, "default"), b.get(key, "default"))]


def _alike(a: object, b: object) -> bool:
    return a == b or str(a) == str(b)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _items(text: str) -> list[str]:
    """``text`` cut at its commas, but not at those inside brackets."""
    items, depth = [""], 0
    for letter in text:
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and depth == 0:
            items.append("")
        else:
            items[-1] += letter
    return items

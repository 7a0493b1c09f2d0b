"""Names of groups that are settings: what each changes, in place of a hash."""

import re
from dataclasses import replace

from diffmem.analysis.comparison import Comparison, Group
from diffmem.analysis.effects import Effects
from diffmem.analysis.factors import central, factor_of, settings_of
from diffmem.errors import DataError

_BASELINE = "baseline"


def named(comparison: Comparison, effects: Effects | None = None) -> Comparison:
    """``comparison`` with each group named by what it changes, where the groups are settings.

    The baseline is that of ``effects``, else the setting from which all others differ in the fewest keys together. A
    name that two groups would share is followed by the rate, or by the hash. Groups keep their names where a run does
    not say how it was trained.
    """
    if "setting" not in comparison.rules.by or len(comparison.groups) < 2:
        return comparison
    try:
        settings = settings_of(comparison)
    except DataError:
        return comparison
    baseline = effects.baseline if effects else central(settings, settings)[0]
    changes = [short(factor_of(each.training, baseline.training)) or _BASELINE for each in settings]
    rates = [f"{change}, lr={each.rate:g}" for change, each in zip(changes, settings, strict=True)]
    hashes = [f"{change} ({group.name})" for change, group in zip(changes, comparison.groups, strict=True)]
    groups = []
    for place, group in enumerate(comparison.groups):
        alone = (names[place] for names in (changes, rates) if names.count(names[place]) == 1)
        groups.append(_renamed(group, next(alone, hashes[place])))
    first = groups[changes.index(_BASELINE)].runs[0].run.name
    note = f"Groups are named by what they change of the {_BASELINE}, the setting of {first}."
    groups.sort(key=lambda group: group.name != _BASELINE)
    return replace(comparison, groups=tuple(groups), notes=(note, *comparison.notes))


def short(factor: str) -> str:
    """What :func:`~diffmem.analysis.factors.factor_of` says, with keys by their last words."""
    return re.sub(r"(?:\w+\.)+(\w+=)", r"\1", factor)


def _renamed(group: Group, name: str) -> Group:
    cells = tuple(replace(cell, group=name) for cell in group.cells)
    ladder = tuple(replace(rung, group=name) for rung in group.ladder)
    return replace(group, name=name, cells=cells, ladder=ladder)

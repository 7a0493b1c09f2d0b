"""Laws of times in n, for the tests of what the studies say."""

import contextlib

from diffmem.analysis.ladder import criteria
from diffmem.analysis.scaling import fit_exponent, fit_of_runs
from diffmem.analysis.timescales import tau_mem
from diffmem.errors import DataError


def laws(comparison):
    """The law of each criterion of each group."""
    return {group.name: {rung.criterion.name: rung.law for rung in group.ladder} for group in comparison.groups}


def sgd_over_adam(runs, names):
    """The exponent in n of τ(SGD)/τ(Adam), runs of one subset and seed paired, by each criterion."""
    adam = {(run.n, run.identity["index"]): run for run in runs if run.identity["optimizer"] == "Adam"}
    found = {}
    for name in names:
        pairs = []
        for run in runs:
            other = adam.get((run.n, run.identity["index"]))
            if run.identity["optimizer"] != "SGD" or other is None:
                continue
            (criterion,) = (each for each in criteria([run, other], "frechet_pixels", None) if each.name == name)
            try:
                late, early = (criterion.measure(each, each.clock()) for each in (run, other))
            except DataError:
                continue
            if not (late.censored or early.censored):
                pairs.append((run.n, late.value / early.value))
        found[name] = fit_exponent(*zip(*pairs, strict=True))
    return found


def law_of_copies(runs, level=0.01, by="optimizer"):
    """The law of f_mem ≥ level by an identity column; runs that are past it at their first evaluation have no time."""
    times = {}
    for run in runs:
        with contextlib.suppress(DataError):
            found = tau_mem(run.clock(), run.column("f_mem"), run.num_samples, level=level, num_draws=20)
            times.setdefault(run.identity[by], []).append((run, found))
    return {group: fit_of_runs(found) for group, found in times.items()}


def printed(law):
    """A law as the tables of the READMEs write it."""
    return str(law).replace(" points", "")

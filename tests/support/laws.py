"""Laws of times in n, for the tests of what the studies say."""

import contextlib
import math

import numpy as np
from scipy.special import stdtrit

from diffmem.analysis.ladder import Criterion, criteria
from diffmem.analysis.scaling import fit_exponent, fit_of_runs
from diffmem.analysis.timescales import tau_mem
from diffmem.errors import DataError


def laws(comparison):
    """The law of each criterion of each group."""
    return {group.name: {rung.criterion.name: rung.law for rung in group.ladder} for group in comparison.groups}


def copies(level):
    """The criterion f_mem ≥ level, at any level."""

    def measure(run, clock):
        return tau_mem(clock, run.column("f_mem"), run.num_samples, level=level, num_draws=20)

    return Criterion("f_mem", f"f_mem ≥ {100 * level:g}%", level, True, measure)


def times(runs, criterion):
    """Runs and their times by a criterion, those left out that are past it at their first evaluation."""
    found = []
    for run in runs:
        with contextlib.suppress(DataError):
            found.append((run, criterion.measure(run, run.clock())))
    return found


def law_from(runs, criterion, least=0):
    """The law of a criterion over the runs with at least ``least`` training images."""
    return fit_of_runs([(run, time) for run, time in times(runs, criterion) if run.n >= least])


def ratios(above, below):
    """n and τ/τ of two sets of times, runs of one n, index and seed paired; without those that are censored."""

    def key(run):
        return run.n, run.identity["index"], run.identity["seed"]

    known = {key(run): time.value for run, time in below if not time.censored}
    pairs = [(run.n, time.value / known[key(run)]) for run, time in above if not time.censored and key(run) in known]
    return tuple(np.array(pairs, dtype=float).reshape(-1, 2).T)


def paired(runs, others, names):
    """The exponent in n of the ratio of the times of ``runs`` to those of ``others``, by each criterion of both.

    Runs are paired as in :func:`ratios`. A criterion with too few pairs is left out.
    """
    found = {}
    for criterion in criteria([*runs, *others], "frechet_pixels", None):
        if criterion.name in names:
            with contextlib.suppress(DataError):
                found[criterion.name] = fit_exponent(*ratios(times(runs, criterion), times(others, criterion)))
    return {name: found[name] for name in names if name in found}


def sgd_over_adam(runs, names):
    """:func:`paired` of the runs of SGD with those of Adam."""
    return paired(*([run for run in runs if run.identity["optimizer"] == name] for name in ("SGD", "Adam")), names)


def mean_ratio(values):
    """The geometric mean of ratios and its 95% interval, Student's t of their logarithms."""
    logs = np.log(values)
    half = float(stdtrit(len(logs) - 1, 0.975)) * logs.std(ddof=1) / math.sqrt(len(logs))
    return tuple(math.exp(logs.mean() + each) for each in (0, -half, half))


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

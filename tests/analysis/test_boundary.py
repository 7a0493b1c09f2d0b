"""Boundaries over n and p, from runs whose laws are known."""

import math
from dataclasses import replace

import pytest
from synthetic_runs import Truth, evaluations, log_steps

from diffmem.analysis.boundary import Bracket, boundaries, boundary_table
from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.figures import phase_diagram
from diffmem.analysis.runs import run_of_table

STEPS = log_steps(300_000)


def runs_of(p, truth, never=()):
    for n in (16, 64, 128, 256, 512):
        of_n = Truth(prefactor=1e9) if n in never else truth
        table = evaluations(n, 0, of_n, STEPS, num_parameters=p, setting=str(p))
        yield run_of_table(f"p{p}-n{n}", table)


@pytest.fixture(scope="module")
def comparison():
    """τ_mem is half as long with four times the parameters; the small network cannot hold 512 images."""
    slow, fast = Truth(prefactor=400, gen=3000), Truth(prefactor=200, gen=3000)
    runs = [*runs_of(1000, slow, never=(512,)), *runs_of(4000, fast)]
    return compare(runs, Rules(by=("num_parameters",), num_draws=200))


def test_a_training_of_some_length_memorizes_what_its_law_says(comparison):
    small, large = boundaries(comparison, [20_000])
    assert [each.num_parameters for each in (small, large)] == [1000, 4000]
    for each, truth in ((small, Truth(prefactor=400)), (large, Truth(prefactor=200))):
        assert truth.tau_mem(each.memorized[0]) == pytest.approx(20_000, rel=0.2)
    assert large.memorized[0] == pytest.approx(2 * small.memorized[0], rel=0.15)


def test_n_star_lies_where_the_architecture_begins_to_protect(comparison):
    small, large = boundaries(comparison, [])
    assert small.star == Bracket(256, 512)
    assert large.star == Bracket(512, None)
    assert [str(small.star), str(large.star)] == ["256 to 512", "> 512"]
    assert str(Bracket(None, 64)) == "≤ 64"


def test_the_window_opens_where_good_samples_come_first(comparison):
    """τ_gen = 3000 at q; τ_mem = 1580 and 6320 at n = 16 and 64 of the small network, 790 and 3160 of the large one."""
    small, large = boundaries(comparison, [])
    assert str(small.window) == "16 to 64"
    assert large.window.above in (16, 64)


def test_a_law_that_hardly_grows_memorizes_every_n(comparison):
    flat = replace(comparison.groups[0].laws["mem"], exponent=1e-4)
    groups = tuple(replace(group, laws={**group.laws, "mem": flat}) for group in comparison.groups)
    found = replace(comparison, groups=groups)
    assert math.isinf(boundaries(found, [1e9])[0].memorized[0])
    assert "∞" in boundary_table(found)[1][0]
    assert phase_diagram(found) is not None


def test_table_and_figure_show_them(comparison):
    header, rows = boundary_table(comparison)
    assert header[-1] == "n*"
    assert [row[-1] for row in rows] == ["256 to 512", "> 512"]
    assert len(phase_diagram(comparison).axes[0].lines) == 3

"""The figures show the numbers of the comparison."""

import numpy as np
import pytest
from synthetic_runs import Truth, evaluations, log_steps

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.figures import gap_against_n, phase_diagram, times_against_n
from diffmem.analysis.law_figures import collapsed_curves, exponents_by_criterion
from diffmem.analysis.runs import run_of_table
from diffmem.analysis.scaling import PowerLaw

STEPS = log_steps(60_000)
SIZES = (32, 64, 128, 4096)


@pytest.fixture(scope="module")
def comparison():
    """At the largest n nothing is copied by the end of the run."""
    runs = [run_of_table(f"n{n}", evaluations(n, 0, Truth(), STEPS)) for n in SIZES]
    return compare(runs, Rules(num_draws=200))


def points(ax, marker):
    """Where the points of this marker are, (x, y) a row."""
    (line,) = [line for line in ax.lines if line.get_marker() == marker]
    return np.column_stack(line.get_data())


def arrows(ax):
    """The heights at which an arrow begins, and whether it points up."""
    return {(text.xy[1], text.xyann[1] > 0) for text in ax.texts if text.arrow_patch is not None}


def test_times_and_laws_stand_where_the_table_says(comparison):
    (ax,) = times_against_n(comparison).axes
    (group,) = comparison.groups
    for name, marker, style in (("mem", "o", "-"), ("gen", "s", "--")):
        times = [cell.times[name] for cell in group.cells]
        found = points(ax, marker)
        assert found[:, 0] == pytest.approx(SIZES, rel=0.25), "moved aside a little"
        assert list(found[:, 1]) == [time.bound for time in times]
        (law,) = [line for line in ax.lines if line.get_linestyle() == style and len(line.get_xdata()) == 50]
        assert law.get_ydata() == pytest.approx(group.laws[name].at(law.get_xdata()))
        ends = {(line.get_ydata()[0], line.get_ydata()[-1]) for line in ax.lines if len(line.get_xdata()) == 2}
        assert {(time.low, time.high) for time in times if np.isfinite(time.high) and time.low > 0} <= ends
    late = group.cells[-1].times["mem"]
    assert late.censored and (late.last, True) in arrows(ax)


def test_gap_and_ratio_stand_where_the_table_says(comparison):
    gap, ratio = gap_against_n(comparison).axes
    assert list(points(gap, "o")[:, 1]) == [cell.gap.bound for cell in comparison.cells]
    assert list(points(ratio, "o")[:, 1]) == [cell.ratio.bound for cell in comparison.cells]
    assert (comparison.cells[-1].ratio.last, True) in arrows(ratio)


def test_curves_are_divided_by_n_and_by_its_best_power(comparison):
    axes = collapsed_curves(comparison).axes
    alpha = comparison.groups[0].collapse.exponent
    runs = [each.run for each in comparison.groups[0].runs if not each.times["mem"].censored]
    for ax, exponent in zip(axes, (0.0, 1.0, alpha), strict=True):
        for run, line in zip(runs, ax.lines, strict=True):
            assert line.get_xdata() == pytest.approx(STEPS[STEPS > 0] / run.n**exponent)


def test_the_ladder_shows_each_exponent(comparison):
    (ax,) = exponents_by_criterion(comparison).axes
    rungs = [rung for rung in comparison.groups[0].ladder if isinstance(rung.law, PowerLaw)]
    assert [text.get_text() for text in ax.get_xticklabels()] == [rung.criterion.name for rung in rungs]
    assert list(points(ax, "o")[:, 1]) == [rung.law.exponent for rung in rungs]


def named(study, num_parameters):
    """Runs of three n that say where they come from."""
    for n in SIZES[:3]:
        table = evaluations(n, 0, Truth(), STEPS, study=study, num_parameters=num_parameters)
        yield run_of_table(f"{study}-n{n}", table)


def test_a_legend_of_long_names_stays_inside_its_figure():
    studies = [f"vectors-of-a-known-law-with-batches-of-{size}" for size in (32, 64, 128, 256)]
    runs = [run for study in studies for run in named(study, 1000)]
    found = compare(runs, Rules(by=("study",), num_draws=200))
    for draw in (gap_against_n, exponents_by_criterion):
        figure = draw(found)
        figure.canvas.draw()
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == sorted(studies)
        shown = legend.get_window_extent()
        assert shown.x0 >= 0 and shown.x1 <= figure.bbox.x1


def test_a_phase_diagram_names_no_line_that_it_does_not_draw():
    """One n of each size has no law, so nothing is said of what a length memorizes."""
    runs = [run for size, n in ((1000, 0), (4000, 1)) for run in list(named("sizes", size))[n : n + 1]]
    figure = phase_diagram(compare(runs, Rules(by=("num_parameters",), num_draws=200)))
    assert not [text for text in figure.legends[0].get_texts() if "memorized by" in text.get_text()]
    both = [run for size in (1000, 4000) for run in named("sizes", size)]
    figure = phase_diagram(compare(both, Rules(by=("num_parameters",), num_draws=200)))
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert len(lines) == sum("memorized by" in text.get_text() for text in figure.legends[0].get_texts())

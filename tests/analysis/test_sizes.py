"""Exponents in the number of parameters, from runs whose laws are known."""

import pytest
from synthetic_runs import Truth, evaluations, log_steps

from diffmem.analysis.comparison import Rules, compare
from diffmem.analysis.figures import phase_diagram
from diffmem.analysis.report import console_text, write_markdown
from diffmem.analysis.runs import run_of_table
from diffmem.analysis.scaling import PowerLaw
from diffmem.analysis.sizes import size_laws, size_table, times_against_p

STEPS = log_steps(300_000)
SIZES = {1000: 1.0, 4000: 0.5, 16000: 0.25}  # p and the factor on both times: τ ∝ p^−1/2, as τ ∝ 1/W


def runs_of(optimizer, beta=0.5):
    for p, factor in SIZES.items():
        for n in (64, 128, 256):
            truth = Truth(prefactor=400 * factor ** (2 * beta), gen=8000 * factor)
            table = evaluations(n, 0, truth, STEPS, num_parameters=p, setting=f"{optimizer}{p}", optimizer=optimizer)
            yield run_of_table(f"{optimizer}-p{p}-n{n}", table)


@pytest.fixture(scope="module")
def comparison():
    rules = Rules(by=("optimizer", "num_parameters"), num_draws=200)
    return compare([*runs_of("Adam"), *runs_of("SGD", beta=1.0)], rules)


def test_the_exponents_are_those_of_the_runs(comparison):
    laws = {(each.family, each.n, each.time): each.law for each in size_laws(comparison)}
    assert len(laws) == 2 * 3 * 2
    for (family, _, time), law in laws.items():
        assert law.exponent == pytest.approx(-1.0 if (family, time) == ("SGD", "mem") else -0.5, abs=0.12)
        assert law.num_points == 3


def test_a_time_that_was_not_reached_is_a_bound_and_no_point():
    slow = evaluations(64, 0, Truth(prefactor=1e9), STEPS, num_parameters=250, setting="slow")
    members = [*runs_of("Adam"), run_of_table("slow", slow)]
    laws = size_laws(compare(members, Rules(by=("num_parameters",), num_draws=200)))
    (law,) = [each.law for each in laws if (each.n, each.time) == (64, "mem")]
    assert (law.num_points, law.num_censored) == (3, 1)
    assert law.exponent < -0.6  # the bound is far above the law of the others


def test_the_table_has_a_row_for_each_family_and_n(comparison):
    header, rows = size_table(comparison)
    assert header == ["group", "n", "τ_gen ∝ p^β", "τ_mem ∝ p^β"]
    assert [row[:2] for row in rows] == [[name, n] for name in ("Adam", "SGD") for n in ("64", "128", "256")]
    assert " ".join(rows[0][3].split()[:1]) in console_text(comparison)


def test_the_figure_shows_tau_mem_over_n(comparison):
    figure = times_against_p(comparison)
    adam = figure.axes[1]
    laws = [each for each in size_laws(comparison) if (each.family, each.time) == ("Adam", "mem")]
    curves = [line.get_ydata() for line in adam.lines if len(line.get_ydata()) == 20]
    assert len(curves) == 3
    for each, curve in zip(laws, curves, strict=True):
        assert isinstance(each.law, PowerLaw)
        assert curve[0] == pytest.approx(each.law.at(1000) / each.n)
    (gen, *_) = [each.law for each in size_laws(comparison) if (each.family, each.time) == ("Adam", "gen")]
    assert gen.at(1000) == pytest.approx(
        next(y for line in figure.axes[0].lines if len(y := line.get_ydata()) == 20)[0]
    )
    # times in proportion to n lie on one line, a factor of 4 apart otherwise
    assert curves[0] == pytest.approx(curves[2], rel=0.5)


def test_groups_that_do_not_differ_in_p_have_no_such_laws(tmp_path):
    comparison = compare(list(runs_of("Adam"))[:3], Rules(num_draws=200))
    assert size_laws(comparison) == []
    assert times_against_p(comparison) is None
    write_markdown(comparison, tmp_path / "comparison.md")
    assert "number of parameters p" not in (tmp_path / "comparison.md").read_text(encoding="utf-8")


def test_a_boundary_of_the_diagram_joins_networks_of_one_family_alone(comparison):
    """Two optimizers at three sizes: each of the three lengths is a line of each, and one entry of the legend."""
    lines = phase_diagram(comparison).axes[0].lines
    assert len(lines) == 6
    assert all(list(line.get_ydata()) == sorted(SIZES) for line in lines)
    assert sum(not str(line.get_label()).startswith("_") for line in lines) == 3

"""One exponent for each criterion, from curves whose times are known."""

import numpy as np
import pandas as pd
import pytest

from diffmem.analysis.ladder import criteria, ladder, ladder_row
from diffmem.analysis.runs import run_of_table
from diffmem.analysis.scaling import PowerLaw

STEPS = np.r_[0, np.rint(10 * 10 ** (np.arange(81) / 20))]


def run(n, seed=0, index=0, late=1.0, **columns):
    """Ratio of distances and losses rise at 10 n, f_mem at n^1.5, the quality falls at 300."""
    onset, complete = STEPS / (10 * n * late), STEPS / (n**1.5 * late)
    table = {
        "step": STEPS.astype(int),
        "f_mem": np.clip(0.05 * complete**2, 0, 1),
        "num_samples": 1000,
        "nn_train": 1.0,
        "nn_heldout": 0.9 + 0.09 * onset,
        "loss_train": 0.5,
        "loss_test": 1.0 + 0.2 * onset,
        "frechet_pixels": 2 + 300 / np.maximum(STEPS, 1),
        "n": n,
        "index": index,
        "seed": seed,
        "optimizer": "Adam",
    }
    return run_of_table(f"n{n}-i{index}-s{seed}", pd.DataFrame(table | columns))


def rungs(runs, **options):
    return {
        rung.criterion.name: rung for rung in ladder("Adam", runs, criteria(runs, "frechet_pixels", 8.0), **options)
    }


def test_every_criterion_has_the_exponent_of_its_own_curve():
    found = rungs([run(n) for n in (32, 64, 128, 256)])
    for name in ("nn_heldout/nn_train +5%", "nn_heldout/nn_train +20%", "L_test +20%", "f_mem ≥ 1%", "f_mem ≥ 20%"):
        assert found[name].law.exponent == pytest.approx(1.5 if "f_mem" in name else 1, abs=0.02), name
    assert found["frechet_pixels ≤ 8"].law.exponent == pytest.approx(0, abs=0.01)
    assert isinstance(found["frechet_pixels ≤ 1"].law, str)  # below what the runs reach
    # 0.9 (1 + x) is reached at n · 100 x, the clock of the images counts otherwise
    assert found["nn_heldout/nn_train +10%"].law.at(64) == pytest.approx(640, rel=0.05)


def test_a_gap_that_is_there_from_the_start_is_refused_and_counted():
    found = rungs([run(n) for n in (32, 64, 128, 256)])
    assert found["L_gen ≥ 0.1"].num_refused == 4
    assert ladder_row(found["L_gen ≥ 0.1"])["exponent"] is None
    assert ladder_row(found["f_mem ≥ 5%"])["exponent"] == found["f_mem ≥ 5%"].law.exponent


def test_distances_to_fewer_held_out_than_training_images_tell_no_onset():
    """They part as samples become good: a training image is then nearer than the nearest of fewer others."""
    found = rungs([run(n, num_test=128) for n in (32, 64, 128, 256)])
    assert found["nn_heldout/nn_train +5%"].num_refused == 1 and found["L_test +20%"].num_refused == 0
    assert found["nn_heldout/nn_train +5%"].law.num_points == 3


def test_a_row_has_the_level_that_its_criterion_names_and_stricter_ones_come_later():
    found = rungs([run(n) for n in (32, 64, 128)])
    levels = {name: ladder_row(rung)["level"] for name, rung in found.items()}
    assert (levels["f_mem ≥ 5%"], levels["L_test +20%"]) == (0.05, 0.2)
    assert (levels["frechet_pixels ≤ 8"], levels["frechet_pixels ≤ 1"]) == (8, 1)
    by_family = {}
    for rung in found.values():
        by_family.setdefault(rung.criterion.family, []).append(rung.criterion.level)
    assert all(each == sorted(each) for each in by_family.values())


def test_losses_at_further_times_are_criteria_of_their_own():
    runs = [run(n, **{"loss_train_t0.1": 0.5, "loss_test_t0.1": 0.5 + STEPS / n**0.5 / 1000}) for n in (32, 64, 128)]
    assert rungs(runs)["L_gen at 0.1 ≥ 0.2"].law.exponent == pytest.approx(0.5, abs=0.02)


def test_a_loss_is_compared_with_its_lowest_value_so_far():
    """It falls from 2 to 1 by step 100, and from 10 n on it rises: +20% is 20% above 1, not above 2."""
    runs = [run(n, loss_test=np.maximum(np.maximum(1, 2 - STEPS / 100), STEPS / (10 * n))) for n in (32, 64, 128)]
    law = rungs(runs)["L_test +20%"].law
    assert law.exponent == pytest.approx(1, abs=0.02)
    assert law.at(64) == pytest.approx(1.2 * 640, rel=0.03)


def test_seeds_on_one_subset_are_one_point_and_subsets_of_their_own_are_several():
    late = [0.8, 1.0, 1.3]
    shared = [run(n, seed, 0, late[seed]) for n in (32, 64, 128) for seed in range(3)]
    own = [run(n, seed, seed, late[seed]) for n in (32, 64, 128) for seed in range(3)]
    laws = [rungs(runs)["f_mem ≥ 1%"].law for runs in (shared, own)]
    assert [law.num_points for law in laws] == [3, 9]
    assert laws[0].exponent == pytest.approx(laws[1].exponent, abs=0.01)


def test_one_censored_seed_makes_its_cell_a_bound():
    runs = [run(n, seed) for n in (16, 32, 64, 128) for seed in range(2)]
    runs[-1].table["f_mem"] = 0.0
    law = rungs(runs)["f_mem ≥ 1%"].law
    assert isinstance(law, PowerLaw)
    assert (law.num_points, law.num_censored) == (3, 1)


def test_what_the_architecture_protects_is_left_out_of_copying_alone():
    runs = [run(n) for n in (32, 64, 128, 256)]
    found = rungs(runs, outlived=[256])
    assert found["f_mem ≥ 1%"].law.num_points == 3
    assert found["frechet_pixels ≤ 8"].law.num_points == 4

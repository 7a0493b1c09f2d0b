"""Gaussian averages of the activation, against closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffmem.errors import ConfigError
from diffmem.theory.constants import activation_constants

times = st.floats(1e-5, 5.0)
deviations = st.floats(0.1, 3.0)


@pytest.mark.parametrize(
    ("t", "b", "v2", "s2", "delta"),
    [(0.01, 0.085233, 0.025542, 0.001874, 0.019801), (0.1, 0.257884, 0.013841, 0.013574, 0.181269)],
)
def test_tanh_values_of_the_paper_settings(t: float, b: float, v2: float, s2: float, delta: float) -> None:
    constants = activation_constants(t)
    assert constants.a == pytest.approx(0.605706, abs=5e-7)
    assert constants.mu1 == pytest.approx(0.605706, abs=5e-7)
    assert constants.norm2 == pytest.approx(0.394294, abs=5e-7)
    assert (constants.b, constants.v2, constants.s2, constants.delta) == pytest.approx((b, v2, s2, delta), abs=5e-7)


@settings(max_examples=25, deadline=None)
@given(t=times, sigma_x=deviations)
def test_erf_agrees_with_the_arcsine_kernel(t: float, sigma_x: float) -> None:
    constants = activation_constants(t, sigma_x, "erf")
    signal = math.exp(-2 * t) * sigma_x**2
    gamma2 = signal - math.expm1(-2 * t)
    correlation = 2 / math.pi * math.asin(2 * signal / (1 + 2 * gamma2))
    norm2 = 2 / math.pi * math.asin(2 * gamma2 / (1 + 2 * gamma2))
    a = 2 / math.sqrt(math.pi * (1 + 2 * gamma2))
    assert constants.a == pytest.approx(a, abs=1e-10)
    assert constants.mu1 == pytest.approx(a * math.sqrt(gamma2), abs=1e-10)
    assert constants.norm2 == pytest.approx(norm2, abs=1e-10)
    assert constants.v2 == pytest.approx(correlation - a**2 * signal, abs=1e-10)
    assert constants.s2 == pytest.approx(norm2 - correlation - a**2 * constants.delta, abs=1e-10)


@settings(max_examples=25, deadline=None)
@given(t=times, sigma_x=deviations)
def test_relu_agrees_with_the_arccosine_kernel(t: float, sigma_x: float) -> None:
    constants = activation_constants(t, sigma_x, "relu")
    signal = math.exp(-2 * t) * sigma_x**2
    gamma2 = signal - math.expm1(-2 * t)
    angle = math.atan2(math.sqrt(gamma2**2 - signal**2), signal)
    correlation = (math.sin(angle) + (math.pi - angle) * math.cos(angle) - 1) * gamma2 / (2 * math.pi)
    assert constants.a == pytest.approx(0.5, abs=1e-10)
    assert constants.norm2 == pytest.approx(gamma2 / 2 - gamma2 / (2 * math.pi), abs=1e-10)
    assert constants.v2 == pytest.approx(correlation - signal / 4, abs=1e-9)


def test_a_function_of_the_user_is_taken_as_it_is_kinks_and_all() -> None:
    kinked = activation_constants(0.01, 1.0, lambda x: (x - 0.7).relu() - (-x - 0.7).relu(), kinks=(-0.7, 0.7))
    # E[σ(u) u] = E σ'(u) = 2 P(u > 0.7)
    assert kinked.mu1 == pytest.approx(math.erfc(0.7 / math.sqrt(2)), abs=1e-12)
    assert activation_constants(0.1, 1.0, torch.sinh, kinks=()).norm2 == pytest.approx(math.expm1(2) / 2, rel=1e-12)


def test_a_linear_activation_has_no_noise_of_its_own() -> None:
    constants = activation_constants(0.1, 1.0, lambda x: 2 * x)
    assert (constants.a, constants.b**2) == pytest.approx((2.0, 4 * constants.delta))
    assert (constants.v2, constants.s2) == pytest.approx((0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [((0.0,), "t"), ((-1.0,), "t"), ((math.nan,), "t"), ((0.1, 0.0), "sigma_x"), ((0.1, 1.0, "gelu"), "activation"),
     ((0.1, 1.0, torch.relu), "activation"), ((0.1, 1.0, torch.log), "activation")],
)  # fmt: skip
def test_what_the_theory_cannot_use_is_refused(arguments: tuple, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        activation_constants(*arguments)
    assert caught.value.what == what

"""Closed-form training curves, against integration, stepping and actual stochastic training."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffmem.errors import ConfigError
from diffmem.networks.random_features import RandomFeatureNetwork, resolve_activation
from diffmem.theory.constants import activation_constants, noise_variance
from diffmem.theory.dynamics import PopulationMoments, TrainingDynamics, gradient_flow
from diffmem.theory.krylov import dense_pairs, ritz_pairs
from diffmem.theory.simulation import feature_weights, gaussian_images, population_moments, training_moments

TIMES = np.array([0.0, 1.0, 10.0, 100.0, 1e3, 1e5, math.inf])


def problem(dim: int, psi_p: int, psi_n: int, t: float, seed: int = 0) -> tuple[Tensor, Tensor, PopulationMoments]:
    covariance = torch.ones(dim, dtype=torch.float64)
    W = feature_weights(psi_p * dim, dim, seed)
    U, V = training_moments(W, gaussian_images(psi_n * dim, covariance, seed), t)
    return U, V, population_moments(W, covariance, t)


def loss(A: Tensor, U: Tensor, V: Tensor, delta: float) -> float:
    """1 + (Δ/d) Tr(AᵀA U/p) + (2√Δ/d) Tr(A V/√p)."""
    p, d = V.shape
    return float(1 + delta / d * (A.T @ A * U).sum() / p + 2 * math.sqrt(delta) / d * (A * V.T).sum() / math.sqrt(p))


def descend(U: Tensor, V: Tensor, delta: float, step: float, updates: int) -> Tensor:
    """A after so many updates A ← A − η ∇L, η = step·d²."""
    p, d = V.shape
    A = torch.zeros(d, p, dtype=U.dtype)
    for _ in range(updates):
        A -= step * d**2 * (2 * delta / (d * p) * A @ U + 2 * math.sqrt(delta) / (d * math.sqrt(p)) * V.T)
    return A


@pytest.mark.parametrize("method", ["dense", "krylov"])
@pytest.mark.parametrize("updates", [1, 7, 400])
def test_gradient_descent_is_reproduced_update_by_update(method: str, updates: int) -> None:
    t, step = 0.1, 0.5
    U, V, population = problem(6, 12, 3, t)
    delta = noise_variance(t)
    A = descend(U, V, delta, step, updates)
    found = gradient_flow(U, V, [updates * step], 12, t, population, step=step, method=method)
    assert found.loss_train[0] == pytest.approx(loss(A, U, V, delta), rel=1e-6)
    assert found.loss_test[0] == pytest.approx(loss(A, population.U, population.V, delta), rel=1e-5)


def test_gradient_flow_is_the_limit_of_small_steps() -> None:
    t, tau = 0.1, 40.0
    U, V, population = problem(6, 12, 3, t)
    flow = gradient_flow(U, V, [tau], 12, t, population)
    errors = []
    for updates in (400, 4000):
        A = descend(U, V, noise_variance(t), tau / updates, updates)
        errors.append(abs(loss(A, population.U, population.V, noise_variance(t)) - flow.loss_test[0]))
    assert errors[1] < 1e-4
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.1)


def test_score_error_is_the_distance_to_the_population_score() -> None:
    """Σ_t⁻¹ differs from direction to direction here; 200,000 draws from P_t."""
    t, dim, psi_p = 0.2, 6, 8
    covariance = torch.linspace(0.5, 1.5, dim, dtype=torch.float64)
    W = feature_weights(psi_p * dim, dim, 0)
    U, V = training_moments(W, gaussian_images(3 * dim, covariance, 0), t)
    delta = noise_variance(t)
    A = descend(U, V, delta, 0.5, 60)
    noised = math.exp(-2 * t) * covariance + delta
    y = torch.randn(200_000, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * noised.sqrt()
    score = torch.tanh(y @ W.T / math.sqrt(dim)) @ A.T / math.sqrt(psi_p * dim)
    expected = float((score + y / noised).square().sum(1).mean()) / dim
    population = population_moments(W, covariance, t)
    found = gradient_flow(U, V, [30.0], psi_p, t, population, step=0.5)
    assert found.score_error[0] == pytest.approx(expected, rel=0.01)
    start = gradient_flow(U, V, [0.0], psi_p, t, population)
    assert start.score_error[0] == pytest.approx(float((1 / noised).mean()))


def test_stochastic_training_follows_the_closed_form() -> None:
    """Full batch, fresh noise at each update, autograd on the network itself."""
    t, dim, psi_p, psi_n, step, updates = 0.1, 8, 16, 4, 0.1, 1000
    delta = noise_variance(t)
    network = RandomFeatureNetwork(dim, psi_p * dim, seed=3)
    W = network.W.double()
    covariance = torch.ones(dim, dtype=torch.float64)
    X = gaussian_images(psi_n * dim, covariance, 3)
    U, V = training_moments(W, X, t)
    population = population_moments(W, covariance, t)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(network.parameters(), lr=step * dim**2)
    images = math.exp(-t) * X.float()
    marks: dict[int, list[float]] = {30: [], 300: [], 1000: []}
    for update in range(1, updates + 1):
        noise = torch.randn(images.shape, generator=generator)
        score = network(images + math.sqrt(delta) * noise)
        value = (math.sqrt(delta) * score + noise).square().sum(1).mean() / dim
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if update in marks:
            A = network.A.detach().double()
            marks[update] = [loss(A, U, V, delta), loss(A, population.U, population.V, delta)]
    exact = gradient_flow(U, V, [k * step for k in marks], psi_p, t, population, step=step)
    trained = np.array(list(marks.values())).T
    assert trained[0] == pytest.approx(exact.loss_train, rel=0.03)
    assert trained[1] == pytest.approx(exact.loss_test, rel=0.03)


def test_the_ends_of_training() -> None:
    t = 0.1
    U, V, population = problem(8, 12, 4, t)
    curves = gradient_flow(U, V, TIMES, 12, t, population)
    assert curves.loss_train[0] == curves.loss_test[0] == 1
    least = 1 - float(torch.trace(V.T @ torch.linalg.solve(U, V))) / 8
    assert curves.loss_train[-1] == pytest.approx(least, rel=1e-9)
    assert (np.diff(curves.loss_train) < 0).all()
    assert curves.generalization_loss[-1] > 0


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000), psi_p=st.integers(1, 16), psi_n=st.integers(1, 8), t=st.sampled_from([0.01, 0.1, 1.0])
)
def test_krylov_is_exact_where_it_runs_to_the_end(seed: int, psi_p: int, psi_n: int, t: float) -> None:
    U, V, _ = problem(4, psi_p, psi_n, t, seed)
    values, coefficients, vectors = ritz_pairs(U, V, tolerance=0.0)
    assert torch.allclose(vectors.T @ vectors, torch.eye(len(values), dtype=torch.float64), atol=1e-9)
    for power in (0.5, 1.0, 3.0):
        full, seen, _ = dense_pairs(U, V)
        expected = (seen.T * full.clamp_min(0) ** power) @ seen
        assert torch.allclose((coefficients.T * values.clamp_min(0) ** power) @ coefficients, expected, atol=1e-7)


@pytest.mark.parametrize(("psi_n", "t"), [(8, 0.01), (8, 0.1), (32, 0.1)])
def test_krylov_against_the_dense_solution(psi_n: int, t: float) -> None:
    U, V, population = problem(12, 64, psi_n, t)
    times = np.geomspace(0.1, 1e9, 60)
    dense = TrainingDynamics(U, V, 64, t, population, method="dense")
    krylov = TrainingDynamics(U, V, 64, t, population, method="krylov")
    assert len(krylov.eigenvalues) < 0.8 * len(dense.eigenvalues)
    expected, found = dense.curves(times), krylov.curves(times)
    assert found.loss_train == pytest.approx(expected.loss_train, abs=2e-6)
    assert found.loss_test == pytest.approx(expected.loss_test, rel=1e-4)
    assert found.score_error == pytest.approx(expected.score_error, rel=1e-4)


def test_population_moments_to_leading_order() -> None:
    """Ṽ = μ₁√Δ/Γ W/√d and Ũ = μ₁²/Γ² WΣ_tWᵀ/d + (‖σ‖² − μ₁²) I, up to the spread of |w|²/d."""
    t, dim = 0.1, 400
    covariance = torch.ones(dim, dtype=torch.float64)
    W = feature_weights(40, dim, 0)
    exact, constants = population_moments(W, covariance, t), activation_constants(t)
    V = constants.mu1 * math.sqrt(constants.delta / dim) * W
    U = constants.mu1**2 * W @ W.T / dim + (constants.norm2 - constants.mu1**2) * torch.eye(40, dtype=torch.float64)
    assert float((exact.V - V).norm() / V.norm()) < 0.1
    assert float((exact.U - U).norm() / U.norm()) < 0.1
    assert exact.score_norm == pytest.approx(1.0)


@pytest.mark.parametrize("activation", ["tanh", "erf", "relu"])
def test_moments_against_monte_carlo(activation: str) -> None:
    t, dim, draws = 0.1, 8, 20_000
    delta = noise_variance(t)
    W, X = feature_weights(24, dim, 0), gaussian_images(6, torch.ones(dim, dtype=torch.float64), 0)
    U, V = training_moments(W, X, t, activation)
    noise = torch.randn(draws, 6, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features = resolve_activation(activation)((math.exp(-t) * X + math.sqrt(delta) * noise) @ W.T / math.sqrt(dim))
    features, noise = features.flatten(0, 1), noise.flatten(0, 1)
    assert float((U - features.T @ features / len(noise)).abs().max()) < 0.01
    assert float((V - features.T @ noise / len(noise)).abs().max()) < 0.02


@pytest.mark.parametrize(
    ("change", "what"),
    [({"times": [-1.0]}, "times"), ({"psi_p": 3.0}, "psi_p"), ({"t": 0.0}, "t"), ({"step": 1e6}, "step"),
     ({"step": -1.0}, "step"), ({"V": torch.zeros(5, 2)}, "U, V"), ({"method": "qr"}, "method")],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(change: dict, what: str) -> None:
    U, V, _ = problem(4, 2, 2, 0.1)
    with pytest.raises(ConfigError) as caught:
        gradient_flow(**({"U": U, "V": V, "times": [1.0], "psi_p": 2.0, "t": 0.1} | change))
    assert caught.value.what == what


def test_moments_that_are_not_finite_or_do_not_fit_are_refused() -> None:
    U, V, population = problem(4, 2, 2, 0.1)
    with pytest.raises(ConfigError, match="population"):
        gradient_flow(U[:4, :4], V[:4], [1.0], 1.0, 0.1, population)
    with pytest.raises(ConfigError, match="not finite"):
        gradient_flow(U * math.nan, V, [1.0], 2.0, 0.1)
    with pytest.raises(ConfigError, match="population"):
        _ = gradient_flow(U, V, [1.0], 2.0, 0.1).generalization_loss

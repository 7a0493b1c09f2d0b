"""The theory of random features: the spectral density and the exact dynamics."""

import numpy as np
import torch
from benchmarks.timing import PLAIN, Measurement, Scale, Work, interleave
from numpy.typing import NDArray
from scipy.optimize import root

from diffmem.theory.constants import activation_constants, noise_variance
from diffmem.theory.dynamics import TrainingDynamics
from diffmem.theory.simulation import feature_weights, gaussian_images, training_moments
from diffmem.theory.spectrum import spectral_density

_PSI_P, _PSI_N, _T = 64.0, 8.0, 0.01


def spectrum(scale: Scale) -> list[Measurement]:
    """ρ(λ) on a grid, to a root found at one point after the other."""
    points = scale.pick(400, 20)
    grid = np.geomspace(0.05, 30, points)
    plain, ours = _density_by_points(grid), spectral_density(grid, _PSI_P, _PSI_N, _T)
    inside = ours > 1e-3
    assert inside.any() and np.allclose(plain[inside], ours[inside], rtol=1e-3)
    works = {
        PLAIN: Work(lambda: _density_by_points(grid)),
        "diffmem": Work(lambda: spectral_density(grid, _PSI_P, _PSI_N, _T)),
    }
    return [Measurement(f"spectrum, {points} eigenvalues", "grid", interleave(works, scale))]


def dynamics(scale: Scale) -> list[Measurement]:
    """L_train(τ) from U and V."""
    dim = scale.pick(50, 4)
    p, n = int(_PSI_P * dim), int(_PSI_N * dim)
    W = feature_weights(p, dim, 0).float()
    U, V = training_moments(W, gaussian_images(n, torch.ones(dim), 0), _T)
    times = np.geomspace(1, 1e5, 200)

    def ours() -> NDArray[np.float64]:
        return TrainingDynamics(U, V, _PSI_P, _T).curves(times).loss_train

    plain = _dense_loss(U, V, times)
    assert np.abs(ours() - plain).max() < 1e-3
    works = {PLAIN: Work(lambda: _dense_loss(U, V, times)), "diffmem": Work(ours)}
    return [Measurement(f"L_train(τ) from U and V, p = {p}, d = {dim}", "curve", interleave(works, scale))]


def _density_by_points(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Theorem 3.1 for Σ = I, each point followed down from Im z = 200 by ``scipy.optimize.root``."""
    constants = activation_constants(_T)
    signal = _PSI_P * constants.a**2 * np.exp(-2 * _T)

    def equations(unknown: NDArray[np.float64], z: complex) -> list[float]:
        q, r = complex(*unknown[:2]), complex(*unknown[2:])
        D = 1 + signal / _PSI_N * r + _PSI_P * constants.v2 / _PSI_N * q
        eta = 1 / (1 + q * (_PSI_P * constants.b**2 + signal / D))
        first = _PSI_P * (constants.s2 - z) * q + _PSI_P * constants.v2 * q / D + 1 - _PSI_P - eta
        second = r - q * eta
        return [first.real, first.imag, second.real, second.imag]

    found = []
    for eigenvalue in grid:
        q = -1 / (eigenvalue + 200j)
        unknown = np.array([q.real, q.imag, q.real, q.imag])
        for height in np.geomspace(200, 1e-6, 60):
            unknown = root(equations, unknown, args=(complex(eigenvalue, height),)).x
        found.append(unknown[1] / np.pi)
    return np.array(found)


def _dense_loss(U: torch.Tensor, V: torch.Tensor, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gradient flow from A = 0 by the whole eigendecomposition of U, in float64."""
    eigenvalues, vectors = torch.linalg.eigh(U.double())
    overlap = (vectors.T @ V.double()).square().sum(1) / V.shape[1]
    rate = 2 * noise_variance(_T) / _PSI_P * eigenvalues
    grown = 1 - torch.exp(-torch.as_tensor(times)[:, None] * rate)
    return (1 - (grown * (2 - grown)) @ (overlap / eigenvalues)).numpy()

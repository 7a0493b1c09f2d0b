"""Ritz pairs of a symmetric matrix seen from a block of vectors."""

import torch
from torch import Tensor

_RANK_TOLERANCE = 1e-12


def dense_pairs(U: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All eigenvalues (p,) of U, the coefficients (p, d) of V on the eigenvectors, and these (p, p) as columns."""
    values, vectors = torch.linalg.eigh(U)
    return values, vectors.T @ V, vectors


def ritz_pairs(U: Tensor, V: Tensor, tolerance: float = 1e-6) -> tuple[Tensor, Tensor, Tensor]:
    """What V sees of :func:`dense_pairs`, by block Lanczos with full reorthogonalization.

    After m blocks VᵀP(U)V is exact for every polynomial P of degree below 2m; the spectrum of U sits in a few bulks, so
    some twenty blocks do. Blocks are added until one raises Tr VᵀU⁻¹V/d by less than ``tolerance``, as block conjugate
    gradients would measure it, or until they span an invariant subspace that holds V, when the result is exact.

    Args:
        U: (p, p), symmetric and positive. In float32 the products take half the time, and eigenvalues are off by some
            1e-7 of the largest; the small matrices are float64 either way.
        V: (p, d).
        tolerance: Of Tr VᵀU⁻¹V/d, which is 1 − L_train at the end of training.

    Returns:
        Ritz values (k,) ascending, coefficients (k, d) of V, Ritz vectors (p, k).
    """
    block, start = _orthonormal(V, float(V.abs().max()))
    scale = float(U.diagonal().abs().max())
    basis, start = block, start.double()
    projected = pivot = start.new_zeros(0, 0)
    residual = start
    while True:
        image = U @ block
        column = (basis.T @ image).double()
        width, previous = block.shape[1], len(pivot)
        if previous:
            coupling = torch.linalg.solve(pivot, column[-width - previous : -width]).T
            pivot = column[-width:] - coupling @ column[-width - previous : -width]
            residual = -coupling @ residual
        else:
            pivot = column
        projected = _bordered(projected, column)
        gain = float((residual * torch.linalg.solve(pivot, residual)).sum()) / V.shape[1]
        if gain < tolerance or basis.shape[1] == len(U):
            break
        for _ in range(2):
            image = image - basis @ (basis.T @ image)
        block = _orthonormal(image, scale)[0]
        block = _orthonormal(block - basis @ (basis.T @ block), 1.0)[0]
        if block.shape[1] == 0:
            break
        basis = torch.cat([basis, block], dim=1)
    values, vectors = torch.linalg.eigh(projected)
    return values, vectors[: len(start)].T @ start, basis @ vectors.to(basis)


def _bordered(projected: Tensor, column: Tensor) -> Tensor:
    """QᵀUQ for the basis grown by a block, whose last columns are ``column``."""
    size, width = column.shape
    grown = column.new_zeros(size, size)
    grown[: size - width, : size - width] = projected
    grown[:, size - width :] = column
    grown[size - width :] = column.T
    return grown


def _orthonormal(block: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Q (p, r), B (r, d) with QB = block, without the directions below rounding at ``scale``."""
    Q, R = torch.linalg.qr(block)
    left, singular, right = torch.linalg.svd(R, full_matrices=False)
    kept = singular > max(_RANK_TOLERANCE, torch.finfo(block.dtype).eps) * scale * len(block) ** 0.5
    return Q @ left[:, kept], singular[kept, None] * right[kept]

"""The principal components of the images of a run, as features in which distances are measured."""

import torch
from torch import Tensor, nn

from diffmem.errors import ParameterError, require_at_least


class PrincipalComponents(nn.Module):
    """Projects images on the directions in which those of the run vary most, as Meehan et al. do before C_T.

    Distances in all components are those in pixels.

    Args:
        num_components: Number k of directions, at most the values of an image and one less than the images.

    Raises:
        ParameterError: A number below 1.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, num_components: int = 16) -> None:
        super().__init__()
        require_at_least(1, num_components=num_components)
        self.num_components = num_components
        self.register_buffer("mean", torch.empty(0), persistent=False)
        self.register_buffer("components", torch.empty(0, 0), persistent=False)

    def fit(self, images: Tensor) -> None:
        """Find the directions: right singular vectors of the centred ``images`` (N, \\*), largest first.

        Raises:
            ParameterError: ``images`` have fewer directions than are asked for.
        """
        vectors = images.flatten(1).double()
        most = min(len(vectors) - 1, vectors.shape[1])
        if self.num_components > most:
            raise ParameterError("num_components", got=self.num_components, expected=f"at most {most} for these images")
        mean = vectors.mean(0)
        components = torch.linalg.svd(vectors - mean, full_matrices=False).Vh[: self.num_components]
        self.mean, self.components = mean.float(), components.float()

    def forward(self, images: Tensor) -> Tensor:
        """The components (B, k) of ``images`` (B, \\*), after :meth:`fit`."""
        return (images.flatten(1) - self.mean) @ self.components.T

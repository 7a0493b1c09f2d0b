"""Principal components against numpy's singular vectors and against distances in pixels."""

import numpy as np
import pytest
import torch

from diffmem.errors import ParameterError
from diffmem.metrics.principal_components import PrincipalComponents

IMAGES = torch.randn(40, 1, 3, 3, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 10).reshape(3, 3) + 2


def fitted(k):
    features = PrincipalComponents(k)
    features.fit(IMAGES)
    return features


def test_they_are_the_eigenvectors_of_the_covariance():
    vectors = IMAGES.flatten(1).double().numpy()
    variances, directions = np.linalg.eigh(np.cov(vectors.T))
    found = fitted(4)(IMAGES).double().numpy()
    np.testing.assert_allclose(found.var(0, ddof=1), variances[::-1][:4], rtol=1e-4)
    expected = (vectors - vectors.mean(0)) @ directions[:, ::-1][:, :4]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-3)


def test_distances_in_all_of_them_are_those_in_pixels():
    found, pixels = fitted(9)(IMAGES), IMAGES.flatten(1)
    torch.testing.assert_close((found[:20] - found[20:]).norm(dim=1), (pixels[:20] - pixels[20:]).norm(dim=1))


@pytest.mark.parametrize(("k", "images"), [(10, IMAGES), (5, IMAGES[:5])])
def test_more_than_the_images_have_is_refused(k, images):
    with pytest.raises(ParameterError, match=f"num_components: got {k}, expected at most"):
        PrincipalComponents(k).fit(images)

"""Images that were prepared once into one array: CelebA, or any folder of pictures."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from diffmem.data.images import ImageData
from diffmem.data.preparation import load_labels, load_prepared
from diffmem.roles import Role


class PreparedImages(ImageData):
    """Subsets of an array that ``tools/prepare_celeba.py`` made, whatever its size, shape and colours.

    The array is memory-mapped: a process holds its training subset and test set, never the whole. Labels are those
    that were prepared with it: the folders of classes, as ``labels="true"``, or one of the attributes, as
    ``labels="true:Smiling"``.

    Args:
        path: The ``.npy`` file; its record, the ``.json``, lies beside it.
        **subset: See :class:`diffmem.data.images.ImageData`.

    Raises:
        ConfigError: As there.
        DataError: The array is missing, or is not the one that was recorded (when it is first read).
    """

    roles: ClassVar[dict[str, Role]] = {"path": "location"}
    labels_remedy = (
        "set --data.labels, or prepare pictures in folders of classes, or with --attributes, by tools/prepare_celeba.py"
    )

    def __init__(self, path: str, **subset: Any) -> None:
        super().__init__(**subset)
        self.path = path

    def load_images(self) -> np.ndarray:
        array, self._record = load_prepared(self.path)
        return array

    @property
    def label_names(self) -> Sequence[str]:
        _ = self._pool  # reading the array reads its record
        return tuple(self._record["labels"]["attributes"]) if "labels" in self._record else ()

    def load_labels(self) -> np.ndarray | None:
        names = self.label_names
        if not names:
            return None
        return load_labels(self.path, self._record)[:, names.index(self.labels.attribute or names[0])]

    def fingerprint(self) -> dict[str, Any]:
        num_images = len(self._pool)  # reading the array reads its record
        kept = {key: self._record[key] for key in ("sha256", "shape", "recipe", "order", "versions")}
        labels = {"labels_sha256": self._record["labels"]["sha256"]} if self.labels.kind == "true" else {}
        return {"source": type(self).__name__, "num_images": num_images, **kept, **labels}


class CelebA(PreparedImages):
    """CelebA as in the paper: images in their natural order, the last 2,048 for the losses, 5 · 10,000 for FID.

    Of the 202,599 images 150,551 are left for training subsets.

    Args:
        path: The ``.npy`` file made of ``img_align_celeba``.
        num_test: Number of held-out images of the losses, of the null f_mem and of the distance in pixels.
        num_references: Number of disjoint held-out sets that FID compares with.
        permutation_seed: Seed of the order of the images; None, as in the paper, for that of the sorted files.
        **subset: As in :class:`diffmem.data.images.ImageData`.
    """

    def __init__(
        self,
        path: str,
        num_test: int = 2048,
        num_references: int = 5,
        permutation_seed: int | None = None,
        **subset: Any,
    ) -> None:
        super().__init__(
            path, num_test=num_test, num_references=num_references, permutation_seed=permutation_seed, **subset
        )

"""Labels of training and held-out samples: those of the source, or an experiment's."""

import re
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from diffmem import rng
from diffmem.errors import ConfigError

Kind = Literal["none", "true", "random", "unique"]
Part = Literal["train", "test"]


class Labelled(Protocol):
    """What labels need to know of the data."""

    n: int

    @property
    def num_classes(self) -> int: ...

    @property
    def num_true_classes(self) -> int: ...

    def true_labels(self, part: Part) -> Tensor | None: ...


@dataclass(frozen=True)
class Labels:
    """Which labels a conditional model is given.

    - ``"true"``: those of the source; ``"true:NAME"`` where it has several attributes, such as CelebA's ``Smiling``;
    - ``"random:K"``: one of K at random, a function of a training sample's position in the order alone, and of a
      held-out sample's place in its set;
    - ``"unique"``: each training sample its own, from 0 to n − 1; held-out samples have none;
    - ``"none"``.

    Random and unique labels say nothing of the image; models that are told them copy more (Gu et al. 2023,
    arXiv 2310.02664).

    Attributes:
        kind: One of the four.
        num_random: K of random labels, at least 2.
        attribute: Which of several true labels; "" where there is one.
    """

    kind: Kind = "none"
    num_random: int = 0
    attribute: str = ""

    @classmethod
    def parse(cls, text: str | bool) -> "Labels":
        """From the value of ``data.labels``; YAML reads ``true`` as a truth value.

        Raises:
            ConfigError: None of the four.
        """
        text = {True: "true", False: "none"}[text] if isinstance(text, bool) else text
        if found := re.fullmatch(r"random:(\d+)", text):
            if int(found[1]) >= 2:
                return cls("random", int(found[1]))
        elif text.startswith("true:") and (attribute := text.removeprefix("true:")):
            return cls("true", attribute=attribute)
        elif text in get_args(Kind) and text != "random":
            return cls(text)  # type: ignore[arg-type]
        raise ConfigError(
            "data.labels",
            got=repr(text),
            expected="none, true, true:ATTRIBUTE, unique or random:K with K at least 2",
            remedy="set --data.labels",
        )

    @property
    def name(self) -> str:
        """As it is written in a config."""
        return ":".join(str(part) for part in (self.kind, self.num_random, self.attribute) if part)

    def num_classes(self, data: Labelled) -> int:
        """Number K of the labels."""
        match self.kind:
            case "none":
                return 0
            case "true":
                return data.num_true_classes
            case "unique":
                return data.n
            case "random":
                return self.num_random

    def of(self, positions: range, part: Part, data: Labelled) -> Tensor | None:
        """Labels (len(positions),) int64 of the samples at ``positions``; None without labels."""
        match self.kind:
            case "none":
                return None
            case "true":
                return data.true_labels(part)
            case "unique":
                return (
                    torch.arange(len(positions)) if part == "train" else torch.full((len(positions),), data.num_classes)
                )
            case "random":
                streams = (rng.stream(0, f"random labels/{part}", position) for position in positions)
                return torch.stack([torch.randint(self.num_random, (), generator=each) for each in streams])

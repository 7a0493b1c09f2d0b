"""Colours of the page: seen on their paper, and told apart by the colour-blind."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

import diffmem.analysis.pages

FOLDER = Path(diffmem.analysis.pages.__file__).parent
SCRIPT, STYLE = (FOLDER / "base.js").read_text(), (FOLDER / "page.css").read_text()
#: Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHT = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(color):
    rgb = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    """Ratio of WCAG 2."""
    low, high = sorted(0.05 + linear(color) @ [0.2126, 0.7152, 0.0722] for color in (a, b))
    return high / low


def lab(color, sight):
    xyz = RGB_TO_XYZ @ np.clip(SIGHT[sight] @ linear(color), 0, 1) / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def constant(name):
    return json.loads(re.search(rf"^const {name} = (.*?);", SCRIPT, flags=re.MULTILINE)[1])


def variables(place):
    """Colours of the style, on light (0) or dark (1) paper."""
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL)[place]))


def scale(place):
    """The ends of the scale of ordered curves."""
    anchors = np.array(constant("VIRIDIS"))
    ends = np.array(constant("SHADES"))[place]
    at = ends * (len(anchors) - 1)
    mixed = [[np.interp(each, range(len(anchors)), anchors[:, channel]) for channel in range(3)] for each in at]
    return ["#" + "".join(f"{round(value):02x}" for value in color) for color in mixed]


@pytest.mark.parametrize(("name", "place"), [("LIGHT", 0), ("DARK", 1)])
def test_lines_stand_out_and_text_can_be_read(name, place):
    paper = variables(place)
    for ground in (paper["card"], paper["paper"]):
        assert [color for color in [*constant(name), *scale(place)] if contrast(color, ground) < 3] == []
        assert [key for key in ("text", "faint", "link", "copy") if contrast(paper[key], ground) < 4.5] == []


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("name", ["LIGHT", "DARK"])
def test_colours_are_told_apart(name, sight):
    seen = {color: lab(color, sight) for color in constant(name)}
    pairs = itertools.combinations(seen, 2)
    assert [pair for pair in pairs if np.linalg.norm(seen[pair[0]] - seen[pair[1]]) < 20] == []

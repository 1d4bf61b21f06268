from itertools import combinations

import cv2
import numpy as np
import pytest

from leapai.pictures.palette import CLASS_COLOURS, CLASS_COLOURS_ON_WHITE
from leapai.types import CLASS_NAMES

SEEN_AS = {
    "full colour vision": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""On linear RGB; Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of
Color Vision Deficiency" (2009), severity 1."""


@pytest.mark.parametrize("colours", [CLASS_COLOURS, CLASS_COLOURS_ON_WHITE])
@pytest.mark.parametrize("vision", SEEN_AS)
def test_classes_differ_for_every_eye(vision: str, colours):
    seen = np.clip(linear(colours) @ np.transpose(SEEN_AS[vision]), 0, 1)
    encoded = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = cv2.cvtColor(encoded[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    for i, j in combinations(range(len(CLASS_NAMES)), 2):
        assert np.linalg.norm(lab[i] - lab[j]) > 15, (CLASS_NAMES[i], CLASS_NAMES[j])


def test_classes_stand_out_from_a_white_page():
    luminance = linear(CLASS_COLOURS_ON_WHITE) @ (
        0.2126,
        0.7152,
        0.0722,
    )  # WCAG 2, "contrast ratio"
    assert (1.05 / (luminance + 0.05) >= 3).all()


def linear(colours):
    encoded = np.array(colours) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)

"""Frames with fields damaged at random."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from typing import Any

import numpy as np

from leapai.types import CameraFrame, Frame, Labels

BOXES = np.tile([10.0, 0.0, 1.0, 4.0, 2.0, 1.5, 0.0], (5, 1))
ODD: tuple[Any, ...] = (
    None, 0, -1, 1.5, True, "", "x", b"x", [], (), {}, [[1]], object(), 10**30, float("nan"),
    np.nan, np.int64(5), np.float32(2), np.zeros(0), np.zeros((0, 5)), np.zeros((3, 3)),
    np.full((4, 4), np.nan), np.zeros((64, 96, 3), np.uint8), np.array(["x"]), np.array([None]),
)  # fmt: skip
NUMBERS = (np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 0.0, 1e-30)
TYPES = (np.float16, np.float32, np.int64, np.uint8, np.uint16, object, complex, bool)


def damaged_array(array: np.ndarray, rng: random.Random) -> Any:
    spoilt = array.copy()
    if array.dtype.kind == "f" and array.size:
        spoilt.flat[rng.randrange(array.size)] = rng.choice(NUMBERS)
    scale = rng.choice((0, 2, 1000)) if array.dtype.kind == "f" else 1
    return rng.choice(
        (
            spoilt,
            spoilt,
            array.astype(rng.choice(TYPES)),
            array.astype(array.dtype.newbyteorder(">")),
            array[..., :-1],
            array[::2],
            array[None],
            array.T,
            array.tolist(),
            array * scale,
        )
    )


def damaged_value(value: Any, rng: random.Random) -> Any:
    if isinstance(value, np.ndarray) and rng.random() < 0.8:
        with np.errstate(all="ignore"):  # of the damage, not of the check
            return damaged_array(value, rng)
    if isinstance(value, int) and rng.random() < 0.6:
        return value + rng.choice((1, -1, 10**6, -(10**6), 10**15, 2**63))
    return rng.choice(ODD)


def with_damage(owner: Any, kind: type, rng: random.Random) -> Any:
    name = rng.choice([field.name for field in fields(kind)])
    return replace(owner, **{name: damaged_value(getattr(owner, name), rng)})


def damaged(frame: Frame, rng: random.Random) -> Frame:
    """The frame with one to three fields damaged, of itself, a camera or the labels."""
    labels, cameras = frame.labels, list(frame.cameras)
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(cameras))
        cameras[at] = with_damage(cameras[at], CameraFrame, rng)
    if rng.random() < 0.2:
        labels = with_damage(labels, Labels, rng)
    frame = replace(frame, cameras=tuple(cameras), labels=labels)
    return with_damage(frame, Frame, rng) if rng.random() < 0.4 else frame

"""Evidence that images and points belong together: where depth jumps, images have edges."""

from __future__ import annotations

import cv2
import numpy as np

from leapai.geometry import cameras, poses
from leapai.types import BoolArray, CameraFrame, FloatArray, ImageArray

CELLS_ACROSS = 160
"""Columns of the grid on which depth and edges are compared."""
SHIFTS = (0, 4, -4, 7, -7, 10, -10)
"""Columns by which edges are shifted for comparison; the first are not."""
_JUMP = 0.15
"""Relative difference of depth between neighbours that is an edge of an object."""


def edge_scores(camera: CameraFrame, points: FloatArray) -> FloatArray | None:
    """Returns the mean strength of the image's edges [7] where the depth of points [P, 3+] jumps,
    relative to that where it does not, for each of `SHIFTS`; None: too few points are in view."""
    if camera.image is None:
        return None
    height, width = camera.size_px
    rows = max(round(CELLS_ACROSS * height / width), 1)
    jumps, flat = _jumps(camera, points, rows)
    strength = _edges(camera.image, rows)
    columns = np.arange(CELLS_ACROSS)
    inner = (columns >= max(SHIFTS)) & (columns < CELLS_ACROSS + min(SHIFTS))
    jumps, flat = jumps & inner, flat & inner
    if jumps.sum() < 20 or flat.sum() < 20:
        return None
    scores = []
    for shift in SHIFTS:
        moved = np.roll(strength, shift, axis=1)
        scores.append(float(moved[jumps].mean() / max(float(moved[flat].mean()), 1e-6)))
    return np.array(scores)


def _jumps(camera: CameraFrame, points: FloatArray, rows: int) -> tuple[BoolArray, BoolArray]:
    """Returns masks [rows, CELLS_ACROSS] of cells where depth jumps against a neighbour, and where
    it does not."""
    height, width = camera.size_px
    in_camera = poses.apply(poses.invert(camera.ego_from_camera), points[:, :3].astype(np.float64))
    pixels, depth = cameras.project(in_camera, camera.intrinsics, camera.distortion)
    inside = ((pixels > -0.5) & (pixels < (width - 0.5, height - 0.5))).all(-1)
    column = ((pixels[inside, 0] + 0.5) * CELLS_ACROSS / width).astype(np.int64)
    row = ((pixels[inside, 1] + 0.5) * rows / height).astype(np.int64)
    nearest = np.full((rows, CELLS_ACROSS), np.inf)
    np.minimum.at(nearest, (row.clip(0, rows - 1), column.clip(0, CELLS_ACROSS - 1)), depth[inside])
    left, right = nearest[:, :-1], nearest[:, 1:]
    known = np.isfinite(left) & np.isfinite(right)
    ratio = np.ones(left.shape)
    np.divide(left, right, out=ratio, where=known)
    steep = known & (np.abs(np.log(ratio)) > _JUMP)
    jump: BoolArray = np.zeros(nearest.shape, bool)
    flat: BoolArray = np.zeros(nearest.shape, bool)
    jump[:, 1:] |= steep
    jump[:, :-1] |= steep
    flat[:, 1:] |= known & ~steep
    return jump, flat & ~jump


def _edges(image: ImageArray, rows: int) -> FloatArray:
    """Returns the strength of upright edges [rows, CELLS_ACROSS] of an image, against what is
    usual in its row."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (2 * CELLS_ACROSS, 2 * rows), interpolation=cv2.INTER_AREA)
    slope = np.abs(cv2.Sobel(small, cv2.CV_32F, 1, 0))
    strength = cv2.resize(slope, (CELLS_ACROSS, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(strength, np.float64)

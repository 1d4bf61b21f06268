"""Bounds within which the data of cameras and LiDAR is believed, each with its reason.

What lies outside is a fault of the sensor, or of its calibration: it costs a point, or the sensor
in that frame. The words that are returned begin with the field and become a fault of the frame.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from leapai.types import CameraFrame, FloatArray, ImageArray

MAX_RANGE_M = 500.0
"""Automotive LiDARs end at 300 m; points in millimetres, or in a global frame, lie beyond."""
MAX_INTENSITY = 10.0
"""The contract is [0, 1]; where 1 is a diffuse white target, retro-reflectors reach a few."""
MAX_SHARE_BRIGHT = 0.1
"""Share of intensities above 1 from which the scale is wrong, such as 0..255: reflectors that
bright are rare, so in order the share is below a few per cent."""
MAX_POINT_AGE_S = 10.0
"""Ten sweeps of a slow sensor span 1 s; dt in milliseconds or microseconds lies beyond."""
MAX_SHARE_DROPPED = 0.5
"""Share of dropped points from which the rest of a sweep is not believed either."""
FOCAL_LENGTHS = (0.1, 20.0)
"""Focal length over the longer side of the image: a field of view of 157 degrees, at which a
pinhole ends, and of 3 degrees, half that of the longest lens on a vehicle."""
MAX_ASPECT = 2.0
"""Ratio of both focal lengths: pixels are square, and only images that were stretched differ."""
PRINCIPAL_POINTS = (0.05, 0.95)
"""Principal point over the size of the image. It lies near the middle; one at the edge belongs to
an image of another size, such as intrinsics of the full image for half of it."""
MAX_DISTORTION = 1e3
"""Coefficients of a lens grow with its focal length; those of long lenses reach a few tens."""
MAX_TANGENTIAL = 0.5
"""Part of the way to an edge by which decentred lenses move a pixel there; real ones reach 0.02."""
MIN_UNFOLDED = 0.5
"""Part of the way to the nearest edge of the image that a lens must reach before its polynomial
folds back: fits hold inside the image, and what lies beyond the fold is not seen."""
MAX_IMAGE_AGE_S = 10.0
"""An image from so long before or after the frame shows another place."""
MAX_LEVER_ARM_M = 30.0
"""Distance of a camera from the ego's origin: no vehicle is longer. Metres, not millimetres."""
MAX_SPEED_MPS = 100.0
"""Speed of the ego: 360 km/h, which no vehicle on a road reaches."""
MIN_UPRIGHT = 0.2
"""Cosine between the image's downward axis and that of the vehicle (78 degrees): the network was
trained on upright images, and calibration that is inverted or in the ego's axes gives about 0."""
LOOKS_DOWN = -0.9
"""Height of the optical axis below which a camera looks at the ground, where nothing is upright."""
ORTHONORMAL_TOLERANCE = 1e-3
"""Error of the columns of a rotation; 1e-3 moves what is 50 m away by 5 cm."""
LIDAR = "lidar"
"""Name of the LiDAR in faults and in health."""
DROPPED = "points"
"""Field with which the words of `checked_points` begin."""
_RADII = np.linspace(0.0, 2.0, 65)
"""Radii, over that of the nearest edge, at which a lens is looked at; ideal and not distorted."""
_STEP_PX = 16
"""Every 16th pixel is compared first: an image that varies there needs no full comparison."""
_LEVEL_FORWARD = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


def checked_camera(camera: CameraFrame, frame_us: int) -> tuple[CameraFrame, str]:
    """Returns the camera as it can be used in a frame of this time, and what is wrong with it in
    words; "": nothing.

    What is wrong costs the image. A calibration that is wrong is replaced by one that harms
    nothing, because it is computed with where no image is, too.
    """
    away_s = abs(camera.timestamp_us - frame_us) / 1e6
    if away_s > MAX_IMAGE_AGE_S:
        words = f"timestamp_us: is {away_s:.4g} s from the frame's; give the time of the exposure"
        return replace(_without_calibration(camera), timestamp_us=frame_us), words
    problem = (
        _intrinsics_problem(camera)
        or _distortion_problem(camera)
        or _mounting_problem(camera.ego_from_camera, away_s)
    )
    if problem:
        return _without_calibration(camera), problem
    problem = "" if camera.image is None else _image_problem(camera.image, camera.size_px)
    return (replace(camera, image=None) if problem else camera), problem


def rigid_problem(matrix: FloatArray) -> str:
    """Returns what keeps a matrix [4, 4] from being a rigid transform, in words; "": nothing."""
    if not np.isfinite(matrix).all():
        return "is not finite"
    if np.abs(matrix[3] - (0.0, 0.0, 0.0, 1.0)).max() > ORTHONORMAL_TOLERANCE:
        return f"has the last row {matrix[3].tolist()}, not 0 0 0 1 (is it transposed?)"
    rotation = np.asarray(matrix[:3, :3], np.float64)
    error = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    if error > ORTHONORMAL_TOLERANCE:
        return f"has columns that are not orthonormal, by {error:.3g} (is it scaled?)"
    if _determinant(rotation) < 0:
        return "is a mirror: its determinant is -1 (is an axis flipped?)"
    return ""


def checked_points(points: FloatArray) -> tuple[FloatArray | None, str]:
    """Returns the points [P', 5] of a sweep [P, 5] that are within bounds, and what was dropped in
    words; "": nothing was.

    None is returned where the sweep as a whole cannot be believed.
    """
    # A comparison with NaN is false, so what is not finite is outside, too.
    near = (np.abs(points[:, :3]) <= MAX_RANGE_M).all(1)
    intensity = points[:, 3]
    lit = (intensity >= 0) & (intensity <= MAX_INTENSITY)
    recent = np.abs(points[:, 4]) <= MAX_POINT_AGE_S
    kept = near & lit & recent
    count, total = int(kept.sum()), len(points)
    bright = int((intensity > 1).sum())
    if bright > max(1.0, MAX_SHARE_BRIGHT * total):
        words = f"{bright} of {total} points have an intensity above 1, the median is"
        remedy = "divide intensities by the largest value of the sensor"
        return None, f"{DROPPED}: {words} {np.median(intensity):.3g}; {remedy}"
    if count == total:
        return points, ""
    finite = np.isfinite(points).all(1)
    reasons = {
        "not finite": ~finite,
        f"beyond {MAX_RANGE_M:g} m": finite & ~near,
        f"intensity outside 0..{MAX_INTENSITY:g}": finite & near & ~lit,
        f"dt beyond {MAX_POINT_AGE_S:g} s": finite & near & lit & ~recent,
    }
    counted = ", ".join(f"{int(hit.sum())} {what}" for what, hit in reasons.items() if hit.any())
    words = f"{DROPPED}: {total - count} of {total} points dropped ({counted})"
    if total - count > max(1.0, MAX_SHARE_DROPPED * total):
        return None, f"{words}; are they metres in the ego frame, and dt seconds?"
    return points[kept], words


def _determinant(rotation: FloatArray) -> float:
    return float(rotation[0] @ np.cross(rotation[1], rotation[2]))


def _without_calibration(camera: CameraFrame) -> CameraFrame:
    height, width = camera.size_px
    pinhole = [[width, 0.0, width / 2], [0.0, width, height / 2], [0.0, 0.0, 1.0]]
    return replace(
        camera,
        image=None,
        intrinsics=np.array(pinhole, np.float64),
        distortion=np.zeros(5),
        ego_from_camera=_LEVEL_FORWARD.copy(),
    )


def _image_problem(image: ImageArray, size_px: tuple[int, int]) -> str:
    height, width = image.shape[:2]
    if (height, width) != tuple(size_px):
        expected = f"{size_px[1]} x {size_px[0]}"
        return f"image: is {width} x {height} pixels, calibrated for {expected}"
    first = image[0, 0]
    if (image[::_STEP_PX, ::_STEP_PX] == first).all() and (image == first).all():
        return f"image: every pixel is {tuple(first.tolist())}"
    return ""


def _intrinsics_problem(camera: CameraFrame) -> str:
    height, width = camera.size_px
    rows = camera.intrinsics.tolist()
    (fx, skew, cx), (lower, fy, cy), last = rows
    if not all(math.isfinite(value) for row in rows for value in row):
        return "intrinsics: are not finite"
    rounding = max(abs(last[0]), abs(last[1]), abs(last[2] - 1), abs(lower) / max(width, height))
    if rounding > ORTHONORMAL_TOLERANCE:
        return f"intrinsics: have the last row {last}, not 0 0 1 (are they transposed?)"
    low, high = (limit * max(height, width) for limit in FOCAL_LENGTHS)
    if not (low <= fx <= high and low <= fy <= high):
        return (
            f"intrinsics: focal lengths of {fx:.4g} and {fy:.4g} px do not suit an image of "
            f"{width} x {height} pixels"
        )
    if max(fx / fy, fy / fx) > MAX_ASPECT or abs(skew) > fx:
        return f"intrinsics: focal lengths {fx:.4g} and {fy:.4g} px, skew {skew:.4g} do not agree"
    low, high = PRINCIPAL_POINTS
    if not (low <= cx / width <= high and low <= cy / height <= high):
        return (
            f"intrinsics: a principal point at {cx:.4g}, {cy:.4g} px is not of an image of "
            f"{width} x {height} pixels"
        )
    return ""


def _distortion_problem(camera: CameraFrame) -> str:
    worst = float(np.abs(camera.distortion).max())
    if worst == 0:
        return ""
    if not worst <= MAX_DISTORTION:  # true for NaN
        return f"distortion: a coefficient of {worst:.3g} is of no lens"
    (height, width), (fx, fy) = camera.size_px, camera.intrinsics[[0, 1], [0, 1]].tolist()
    edge = min(width / fx, height / fy) / 2  # on the image plane at 1 m
    k1, k2, p1, p2, k3 = camera.distortion.tolist()
    moved = 3 * max(abs(p1), abs(p2)) * edge
    if moved > MAX_TANGENTIAL:
        return (
            f"distortion: p1 and p2 move the edge of the image by {moved:.0%}, which no lens does"
        )
    radius = edge * _RADII
    square = radius * radius
    distorted = radius * (1 + square * (k1 + square * (k2 + square * k3)))
    folds = np.flatnonzero(np.diff(distorted) <= 0)
    reached = float(distorted[: folds[0] + 1 if len(folds) else None].max()) / edge
    if reached < MIN_UNFOLDED:
        return (
            f"distortion: folds back at {reached:.0%} of the way to the edge of the image; give "
            "k1, k2, p1, p2, k3 for normalised coordinates"
        )
    return ""


def _mounting_problem(ego_from_camera: FloatArray, away_s: float) -> str:
    problem = rigid_problem(ego_from_camera)
    if problem:
        return f"ego_from_camera: {problem}"
    # It holds the ego's motion since the exposure, too.
    reach_m = MAX_LEVER_ARM_M + MAX_SPEED_MPS * away_s
    distance_m = float(np.linalg.norm(ego_from_camera[:3, 3]))
    if distance_m > reach_m:
        return f"ego_from_camera: is {distance_m:.4g} m from the ego's origin; give metres"
    down, optical = -float(ego_from_camera[2, 1]), float(ego_from_camera[2, 2])
    if down < MIN_UPRIGHT and optical > LOOKS_DOWN:
        return (
            "ego_from_camera: turns the image on its side (camera axes are x right, y down, "
            "z forward; is it inverted? is its quaternion x y z w?)"
        )
    return ""

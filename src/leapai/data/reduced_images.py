"""Images that are decoded at a reduced scale: a half, a quarter or an eighth, which a JPEG holds
without its finer details, so that they are not computed only to be averaged away."""

from __future__ import annotations

from leapai.geometry import cameras
from leapai.types import FloatArray


def reduction(size_px: tuple[int, int], least_px: tuple[int, int] | None) -> int:
    """Returns by how much sides may be divided, 1, 2, 4 or 8, so that an image of `size_px` (height
    and width) still covers one of `least_px`; None: all of the image is asked for."""
    if least_px is None:
        return 1
    scale = min(size_px[0] / least_px[0], size_px[1] / least_px[1])
    return next((factor for factor in (8, 4, 2) if factor <= scale), 1)


def reduced_size(size_px: tuple[int, int], factor: int) -> tuple[int, int]:
    """Returns height and width of the reduced image; a last row that is not whole counts."""
    return -(-size_px[0] // factor), -(-size_px[1] // factor)


def reduced_intrinsics(intrinsics: FloatArray, factor: int) -> FloatArray:
    """Returns the intrinsics [3, 3] of the reduced image."""
    return cameras.resize_and_crop(intrinsics, (1 / factor, 1 / factor), (0.0, 0.0))

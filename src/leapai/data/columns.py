"""Kinds of table columns, each with its check: what a file holds is converted whole where it is in
order, value by value where it is not.

A column is a list of JSON values or an array. Checks return the values as an array or a list, and
which of them are of the kind; a value that is not gets a stand-in that nothing reads.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from leapai.types import BoolArray, FloatArray, IntArray

Column = Sequence[Any] | IntArray | FloatArray
MAX_NAME = 200
"""Longest name or token: file systems take 255 bytes."""
MAX_PATH = 1000
SIZE_M = (0.01, 100.0)
"""Smallest and largest side of a box. A bollard is 0.15 m wide, an articulated train 75 m long."""
ROTATION_TOLERANCE = 0.01
"""A quaternion of a rotation has length 1; files round it to 1e-6."""
MIN_UPRIGHT = 0.8
"""Cosine of the tilt of a vehicle or an object: 37 degrees, steeper than any road."""
_MANY, _FEW = 0.1, 0.02
"""Shares of rows from which a tilt, or a row against the others, is no single mistake."""
FOCAL_OF_WIDTH = (0.05, 50.0)
"""Focal length over image width: a fisheye has 0.2, a telephoto lens of 2 degrees 29."""
CENTRE_OF_SIZE = (-1.0, 2.0)
"""Principal point over image size; a cropped image may have it outside."""
MAX_SIDE_PX = 65_535
"""Largest side that a JPEG file can have."""
UNITS_PER_S = {"seconds": 1e0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
_EPOCH_S = (1e8, 4e9)
"""Seconds since an epoch such as 1970 or 1980: from 1973 to 2096."""
_STEP_S = (1e-3, 30.0)
"""Time between two frames of a drive."""
_EXACT = 2.0**53
"""Above it float64 does not hold every whole number."""


def numbers(column: Column, width: int) -> FloatArray:
    """Returns rows of numbers [N, width] float64; a row that is not `width` finite numbers is
    NaN."""
    try:
        array = np.array(column)
    except ValueError:  # rows of different lengths
        array = np.zeros(0, object)
    if array.dtype.kind in "iuf" and array.shape == (len(column), width):
        found = array.astype(np.float64)
    else:
        rows = [_row(value, width) for value in column]
        found = np.array(rows, np.float64).reshape(len(column), width)
    found[~np.isfinite(found).all(-1)] = np.nan
    return found


def _row(value: Any, width: int) -> Sequence[float]:
    unknown = (np.nan,) * width
    if not isinstance(value, list | tuple) or len(value) != width:
        return unknown
    if not all(isinstance(number, int | float) and number is not True for number in value):
        return unknown
    try:
        return [float(number) for number in value]
    except OverflowError:
        return unknown


def whole_numbers(column: Column, low: int, high: int) -> tuple[IntArray, BoolArray]:
    """Returns whole numbers [N] int64, and which values are such in `low` to `high`. A float
    without a fraction is one, as tables with gaps hold their numbers as floats."""
    try:
        array = np.asarray(column)
    except ValueError:
        array = np.zeros(0, object)
    if array.dtype.kind not in "iuf" or array.shape != (len(column),):
        array = np.array([_whole(value) for value in column], np.float64)
    in_range = np.asarray((array >= low) & (array <= high))
    if array.dtype.kind == "f":
        in_range &= (np.abs(array) < _EXACT) & (np.floor(array) == array)
    return np.where(in_range, array, 0).astype(np.int64), in_range


def _whole(value: Any) -> float:
    """Returns a number, or NaN for what is none or too large to be exact."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < _EXACT else np.nan


def flags(column: Column) -> tuple[BoolArray, BoolArray]:
    """Returns switches [N], and which values are true or false."""
    known = np.array([isinstance(value, bool | np.bool_) for value in column], bool)
    return np.array([value is True or value is np.True_ for value in column], bool), known


def names(column: Column) -> tuple[list[str], BoolArray]:
    """Returns names or tokens, and which are printable texts of 1 to `MAX_NAME` characters."""
    known = np.array([_is_name(value) for value in column], bool)
    return [value if good else "" for value, good in zip(column, known, strict=True)], known


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def first_of_each(keys: Sequence[Hashable]) -> BoolArray:
    """Returns which keys [N] did not occur before."""
    row_of = {key: i for i, key in reversed(list(enumerate(keys)))}
    first = np.zeros(len(keys), bool)
    first[list(row_of.values())] = True
    return first


def first_of_pairs(one: IntArray, other: IntArray, counted: BoolArray) -> BoolArray:
    """Returns which rows [N] are the first of their pair of numbers, among those that are
    `counted`; rows that are not are True."""
    order = np.lexsort((other, one, ~counted))
    same = (np.diff(one[order]) == 0) & (np.diff(other[order]) == 0) & counted[order[1:]]
    first = np.ones(len(order), bool)
    first[order[1:][same]] = False
    return first


def references(column: Column, row_of: Mapping[str, int]) -> IntArray:
    """Returns the row [N] of another table that each value names; -1: none."""
    found = [row_of.get(value, -1) if isinstance(value, str) else -1 for value in column]
    return np.array(found, np.int64)


def paths(column: Column) -> tuple[list[str], BoolArray]:
    """Returns names of files, and which are relative and stay in the folder they are relative
    to."""
    known = np.array([_is_inside(value) for value in column], bool)
    return [value if good else "" for value, good in zip(column, known, strict=True)], known


def _is_inside(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_PATH
        and value.isprintable()
        and value[0] != "/"
        and ".." not in value.split("/")
    )


def positions(position_m: FloatArray, limit_m: float) -> BoolArray:
    """Returns which positions [N, 3] have coordinates up to `limit_m`."""
    return np.asarray((np.abs(position_m) <= limit_m).all(-1))  # NaN is not


def rotations(wxyz: FloatArray) -> BoolArray:
    """Returns which quaternions [N, 4] are rotations."""
    within: BoolArray = np.asarray((np.abs(wxyz) <= 2.0).all(-1))  # before squares that overflow
    length = np.linalg.norm(np.where(within[:, None], wxyz, 0.0), axis=-1)
    return np.asarray(np.abs(length - 1.0) <= ROTATION_TOLERANCE)


def likely_order(wxyz: FloatArray) -> str:
    """Returns the order that quaternions [N, 4] of what stands on a road seem to have: another one
    than `w x y z` where many are tilted in this order, and hardly any in the other."""
    first, second, third, fourth = wxyz.T
    if not len(wxyz) or not _share_tilted(second, third) > _MANY:
        return "w x y z"
    orders = {"x y z w": (first, second), "z w x y": (third, fourth)}
    return next((o for o, xy in orders.items() if _share_tilted(*xy) < _FEW), "w x y z")


def _share_tilted(x: FloatArray, y: FloatArray) -> float:
    cosine = 1.0 - 2.0 * (x * x + y * y)  # between up and up
    return float((cosine < MIN_UPRIGHT).mean())


def sizes(size_m: FloatArray) -> BoolArray:
    """Returns which sizes [N, 3] of boxes are within `SIZE_M`."""
    return np.asarray(((size_m >= SIZE_M[0]) & (size_m <= SIZE_M[1])).all(-1))


def intrinsics(matrix: FloatArray, size_px: IntArray) -> BoolArray:
    """Returns which matrices [N, 3, 3] are those of a pinhole camera with images of `size_px`
    [N, 2] (height, width)."""
    width, height = size_px[:, 1].astype(np.float64), size_px[:, 0].astype(np.float64)
    focal = matrix[:, [0, 1], [0, 1]]
    centre, size = matrix[:, :2, 2], np.stack([width, height], -1)
    return np.asarray(
        ((focal >= FOCAL_OF_WIDTH[0] * width[:, None]) & (size > 0) & (size <= MAX_SIDE_PX)).all(-1)
        & (focal <= FOCAL_OF_WIDTH[1] * width[:, None]).all(-1)
        & ((centre >= CENTRE_OF_SIZE[0] * size) & (centre <= CENTRE_OF_SIZE[1] * size)).all(-1)
        & (np.abs(matrix[:, 0, 1]) <= 0.1 * focal[:, 0])
        & (matrix[:, 1, 0] == 0)
        & (matrix[:, 2] == [0.0, 0.0, 1.0]).all(-1)
    )


def near_group_median(group: IntArray, position_m: FloatArray, limit_m: float) -> BoolArray:
    """Returns which positions [N, 3] lie within `limit_m` of the median of their group [N]."""
    near = np.ones(len(group), bool)
    for axis in range(position_m.shape[1]):
        order = np.lexsort((position_m[:, axis], group))
        _, start, count = np.unique(group[order], return_index=True, return_counts=True)
        median = position_m[order[start + count // 2], axis]
        of_rows = np.empty(len(group))
        of_rows[order] = np.repeat(median, count)
        near &= np.abs(position_m[:, axis] - of_rows) <= limit_m
    return near


def camera_matrices(column: Column) -> FloatArray:
    """Returns matrices [N, 3, 3] float64 from rows of 3 x 3 numbers, or of 3 x 4 with zeros in the
    last column, as projections are written; NaN where there is none."""
    return np.array([_matrix(value) for value in column], np.float64).reshape(-1, 3, 3)


def _matrix(value: Any) -> FloatArray:
    for width in (3, 4):
        if isinstance(value, list) and len(value) == 3:
            rows = numbers(value, width)
            if np.isfinite(rows).all() and (rows[:, 3:] == 0).all():
                return rows[:, :3]
    return np.full((3, 3), np.nan)


def likely_unit(latest: float, step: float | None, unit: str) -> str:
    """Returns the unit of `UNITS_PER_S` that the times of a drive are in, which should be `unit`.

    `latest` is the last time, `step` the median between frames; None: there is a single one. Times
    count from an epoch, or from the start of the drive.
    """

    def since_epoch(name: str) -> bool:
        return _EPOCH_S[0] <= latest / UNITS_PER_S[name] < _EPOCH_S[1]

    def in_step(name: str) -> bool:
        return step is None or _STEP_S[0] <= step / UNITS_PER_S[name] <= _STEP_S[1]

    short = latest / UNITS_PER_S[unit] < _EPOCH_S[0] / 100
    if since_epoch(unit) or (in_step(unit) and (step is not None or short)):
        return unit
    likely = [name for name in UNITS_PER_S if in_step(name) and since_epoch(name)]
    if not likely and step is not None:
        likely = [name for name in UNITS_PER_S if in_step(name)]
    return likely[0] if likely else unit

"""Thinning of a mask, and tracing of the cells along the middle of its lines."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from leapai.types import BoolArray, ImageArray, IntArray

_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""Row and column steps to the eight neighbours: from the one above, clockwise."""


def thin(mask: BoolArray) -> BoolArray:
    """Returns the skeleton of a mask [rows, columns]: one cell wide, connected as the mask is.

    Guo and Hall, "Parallel Thinning with Two-Subiteration Algorithms" (Communications of the ACM,
    1989), algorithm A1. Whether a cell goes depends on its eight neighbours alone, so a table of
    the 256 neighbourhoods decides for all cells at once; a mask is done in about as many rounds as
    half of its widest line has cells.
    """
    image = mask.astype(np.uint8)
    weights = np.zeros((3, 3))
    for bit, (down, right) in enumerate(_AROUND):
        weights[1 + down, 1 + right] = 1 << bit
    left, before = int(np.count_nonzero(image)), -1
    while left != before:
        for turn in (0, 1):
            around = cv2.filter2D(image, cv2.CV_8U, weights, borderType=cv2.BORDER_CONSTANT)
            image &= _kept(turn)[around]
        left, before = int(np.count_nonzero(image)), left
    return image.astype(bool)


@lru_cache(maxsize=2)
def _kept(turn: Literal[0, 1]) -> ImageArray:
    """Returns a table [256]: 1 where a cell with these neighbours stays in this half of a round."""
    codes = np.arange(256)
    n = [(codes >> bit) % 2 == 1 for bit in range(8)]
    groups = np.sum([~n[i] & (n[i + 1] | n[(i + 2) % 8]) for i in (0, 2, 4, 6)], 0)
    pairs = [np.sum([n[i] | n[(i + 1) % 8] for i in range(first, 8, 2)], 0) for first in (0, 1)]
    neighbours = np.minimum(*pairs)
    to_keep = (n[0] | n[1] | ~n[3]) & n[2] if turn else (n[4] | n[5] | ~n[7]) & n[6]
    goes = (groups == 1) & (neighbours >= 2) & (neighbours <= 3) & ~to_keep
    kept: ImageArray = np.where(goes, 0, 1).astype(np.uint8)
    return kept


def trace(skeleton: BoolArray) -> list[IntArray]:
    """Returns the cells (row, column) [K, 2] of every line of a skeleton, K >= 2, in order along
    it.

    Lines end where the skeleton ends or branches; the cells at which it branches belong to none. A
    ring ends with the cell that it starts with.
    """
    cells = np.argwhere(skeleton)
    neighbours = _neighbours(skeleton, cells)
    branches = (neighbours >= 0).sum(1) > 2
    neighbours[branches] = -1
    neighbours[branches[neighbours]] = -1  # What is -1 stays so, whatever the last cell is.
    neighbours.sort(axis=1)
    two = neighbours[:, -2:]
    degree = (two >= 0).sum(1)
    links: list[tuple[int, int]] = [(int(a), int(b)) for a, b in two]
    left = degree > 0
    paths: list[IntArray] = []
    for start in (*np.flatnonzero(degree == 1).tolist(), *np.flatnonzero(degree == 2).tolist()):
        if left[start]:
            path = _walk(links, start)
            left[path] = False
            paths.append(cells[path])
    return paths


def _neighbours(skeleton: BoolArray, cells: IntArray) -> IntArray:
    """Returns the numbers [N, 8] of the neighbours of each of `cells` [N, 2], -1 for none.

    A diagonal neighbour that is also reached by two straight steps does not count.
    """
    number = np.full(np.add(skeleton.shape, 2), -1)
    number[tuple(cells.T + 1)] = np.arange(len(cells))
    row, column = cells.T + 1
    found = np.stack([number[row + down, column + right] for down, right in _AROUND], 1)
    straight = found[:, ::2] >= 0
    found[:, 1::2][straight | np.roll(straight, -1, axis=1)] = -1
    return found


def _walk(links: list[tuple[int, int]], start: int) -> list[int]:
    """Returns the numbers of the cells from `start` on to the end, or round to `start` again."""
    path, before, here = [start], -1, start
    while True:
        low, high = links[here]
        following = high if high != before else low
        if following < 0:
            return path
        path.append(following)
        if following == start:
            return path
        before, here = here, following

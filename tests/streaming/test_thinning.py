"""Skeletons and their traces: against a loop over cells, and on shapes whose middle is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from leapai.streaming.thinning import thin, trace

SHAPE = (60, 90)


def drawn(draw) -> np.ndarray:
    image = np.zeros(SHAPE, np.uint8)
    draw(image)
    return image > 0


def thinned_by_a_loop(mask: np.ndarray) -> np.ndarray:
    """Guo and Hall's A1 as it is written: one cell after another."""
    image = np.pad(mask, 1).astype(int)  # Of bool, 1 + 1 would be 1.
    while True:
        before = image.copy()
        for turn in (0, 1):
            goes = [cell for cell in np.argwhere(image) if may_go(image, *cell, turn)]
            for row, column in goes:
                image[row, column] = 0
        if (image == before).all():
            return image[1:-1, 1:-1] == 1


def may_go(image, i, j, turn) -> bool:
    p2, p3, p4 = image[i - 1, j], image[i - 1, j + 1], image[i, j + 1]
    p5, p6, p7 = image[i + 1, j + 1], image[i + 1, j], image[i + 1, j - 1]
    p8, p9 = image[i, j - 1], image[i - 1, j - 1]
    groups = (not p2 and (p3 or p4)) + (not p4 and (p5 or p6))
    groups += (not p6 and (p7 or p8)) + (not p8 and (p9 or p2))
    one = (p9 or p2) + (p3 or p4) + (p5 or p6) + (p7 or p8)
    other = (p2 or p3) + (p4 or p5) + (p6 or p7) + (p8 or p9)
    stays = ((p2 or p3 or not p5) and p4) if turn else ((p6 or p7 or not p9) and p8)
    return groups == 1 and 2 <= min(one, other) <= 3 and not stays


def blobs(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random(SHAPE).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 1.5) > 0.5


@pytest.mark.parametrize("seed", range(3))
def test_thinning_agrees_with_a_loop_over_cells(seed):
    mask = blobs(seed)
    skeleton = thin(mask)
    assert np.array_equal(skeleton, thinned_by_a_loop(mask))
    assert 100 < skeleton.sum() < mask.sum() / 2


@pytest.mark.parametrize("seed", range(5))
def test_thinning_neither_tears_nor_joins(seed):
    mask = blobs(seed)
    skeleton = thin(mask)
    assert not (skeleton & ~mask).any()
    parts = [
        cv2.connectedComponents(m.astype(np.uint8), connectivity=8)[0] for m in (mask, skeleton)
    ]
    assert parts[0] == parts[1]


def test_a_bar_becomes_its_middle_line():
    mask = drawn(lambda image: cv2.rectangle(image, (10, 20), (70, 24), 1, -1))
    row, column = np.nonzero(thin(mask))
    assert set(row) == {22}
    assert column.min() <= 13
    assert column.max() >= 67


def test_a_line_is_traced_from_end_to_end_without_a_jump():
    mask = drawn(
        lambda image: cv2.polylines(image, [np.array([[5, 5], [40, 30], [85, 10]])], False, 1, 3)
    )
    (path,) = trace(thin(mask))
    assert np.abs(np.diff(path, axis=0)).max() == 1
    ends = sorted(path[[0, -1]].tolist(), key=lambda cell: cell[1])
    assert np.abs(np.array(ends) - [[5, 5], [10, 85]]).max() <= 2
    assert len(np.unique(path, axis=0)) == len(path)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_line_with_a_square_corner_is_one_line(turns, mirrored):
    corner = np.zeros((9, 9), bool)
    corner[2, 2:7] = corner[2:7, 6] = True
    skeleton = np.rot90(corner.T if mirrored else corner, turns)
    (path,) = trace(skeleton)
    assert len(path) == 9
    assert np.abs(np.diff(path, axis=0)).sum(1).max() == 1


def test_a_ring_ends_where_it_starts():
    mask = drawn(lambda image: cv2.circle(image, (45, 30), 20, 1, 3))
    (path,) = trace(thin(mask))
    assert path[0].tolist() == path[-1].tolist()
    radius = np.hypot(*(path - [30, 45]).T)
    assert np.abs(radius - 20).max() < 1.5
    assert len(path) > 100


def test_lines_end_where_they_meet():
    def cross(image):
        cv2.line(image, (5, 30), (85, 30), 1, 3)
        cv2.line(image, (45, 2), (45, 57), 1, 3)

    paths = sorted(len(path) for path in trace(thin(drawn(cross))) if len(path) > 4)
    assert len(paths) == 4
    assert abs(paths[0] - 27) < 4
    assert abs(paths[-1] - 39) < 4


@pytest.mark.parametrize("mask", [np.zeros(SHAPE, bool), np.eye(3, dtype=bool) * False])
def test_nothing_has_no_lines(mask):
    assert not thin(mask).any()
    assert trace(thin(mask)) == []


def test_a_single_cell_is_no_line():
    mask = np.zeros(SHAPE, bool)
    mask[10, 10] = True
    assert trace(thin(mask)) == []


def test_every_cell_of_a_tangle_is_in_at_most_one_line():
    skeleton = thin(blobs(7))
    paths = trace(skeleton)
    cells = np.concatenate([p[:-1] if (p[0] == p[-1]).all() else p for p in paths])
    assert len(np.unique(cells, axis=0)) == len(cells)
    assert len(cells) > 0.7 * skeleton.sum()
    for path in paths:
        assert np.abs(np.diff(path, axis=0)).max() == 1

"""IoU of the map: against a loop, by band, where hidden, and whatever the order."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from leapai.evaluation.map.map_cells import Sight
from leapai.evaluation.map.map_metrics import MapTally
from leapai.types import LANE_MARKINGS, STATIC_CLASSES
from tests.evaluation.map.roads import (
    CURB,
    EVALUATION,
    GRID,
    SHAPE,
    SOLID,
    frame,
    labels_of,
    metrics,
    random_frames,
)


def iou_by_a_loop(frames, index, threshold=0.5, where=None) -> float | None:
    """Of one class, as the formula is written; `where` picks the cells of a frame."""
    shared = union = true = 0
    for each in frames:
        if each.labels is None or (where is not None and where(each) is None):
            continue
        cells = np.ones(SHAPE[1:], bool) if where is None else where(each)
        planes = np.concatenate([each.labels.lane_markings, each.labels.road_elements])
        gt, predicted = planes[index][cells], each.predicted.probability[index][cells] >= threshold
        shared += int((gt & predicted).sum())
        union += int((gt | predicted).sum())
        true += int(gt.sum())
    return shared / union if true else None


def distance_of_cells() -> tuple[np.ndarray, np.ndarray]:
    x, y = GRID.cell_centres_m().T.reshape(2, *SHAPE[1:]).astype(float)
    return np.hypot(x, y), np.abs(y)


def mean(values) -> float:
    return float(np.mean([value for value in values if value is not None]))


def test_iou_agrees_with_a_loop():
    frames = random_frames(0)
    got = metrics(*frames)
    for i, name in enumerate(STATIC_CLASSES):
        of_class = got.classes[name]
        assert of_class.iou == (pytest.approx(iou_by_a_loop(frames, i)) if i != 3 else None)
        if i != 3:
            by_threshold = [iou_by_a_loop(frames, i, k / 32) for k in range(1, 32)]
            assert of_class.best_iou == pytest.approx(max(by_threshold))
            assert of_class.best_threshold == (np.argmax(by_threshold) + 1) / 32
    markings = [iou_by_a_loop(frames, i) for i in range(9)]
    assert got.iou.lane_markings == pytest.approx(mean(markings))
    assert (got.frames, got.labelled_frames) == (6, 4)


def test_bands_and_hidden_cells_agree_with_a_loop():
    frames = random_frames(1)
    got = metrics(*frames)
    distance, side = distance_of_cells()
    bands = {"0-5 m": distance < 5, "5-10 m": (distance >= 5) & (distance < 10)}
    sides = {"0-2 m": side < 2, "2-8 m": (side >= 2) & (side < 8)}
    for names, given in ((bands, got.distance_bands), (sides, got.lateral_bands)):
        assert list(given) == list(names)
        for name, cells in names.items():
            expected = [iou_by_a_loop(frames, i, where=lambda _, c=cells: c) for i in range(14)]
            assert given[name].lane_markings == pytest.approx(mean(expected[:9]))
            assert given[name].road_elements == pytest.approx(mean(expected[9:]))

    def hidden(each):
        return None if each.sight is None else each.sight.seen_before & ~each.sight.seen_now

    for i, name in enumerate(STATIC_CLASSES):
        expected = iou_by_a_loop(frames, i, where=hidden)
        assert got.classes[name].hidden_iou == (expected and pytest.approx(expected))
    labelled = [hidden(each) for each in frames if each.labels is not None]
    assert got.hidden_cells == sum(int(m.sum()) for m in labelled if m is not None)


def test_order_and_ranks_change_no_bit():
    frames = random_frames(2, count=8)
    drives = [frames[:4], frames[4:]]
    straight = metrics(*frames)
    assert metrics(*drives[1], *drives[0]) == straight
    ranks = []
    for drive in reversed(drives):
        tally = MapTally(GRID, EVALUATION)
        for each in drive:
            tally.add(each)
        ranks.append(pickle.loads(pickle.dumps(tally)))
    ranks[0].merge(ranks[1])
    assert ranks[0].metrics() == straight
    assert straight.change.lane_markings > 0


def test_a_perfect_map_and_an_empty_one():
    gt = np.zeros(SHAPE)
    gt[SOLID, 30] = gt[CURB, 60] = 1
    perfect, empty = metrics(frame(gt, gt)), metrics(frame(gt * 0, gt))
    assert (perfect.iou.lane_markings, perfect.iou.road_elements) == (1.0, 1.0)
    assert (empty.iou.lane_markings, empty.best_iou.road_elements) == (0.0, 0.0)
    assert perfect.classes["SolidLine"].cells == GRID.columns


def test_classes_without_gt_are_left_out_of_the_mean():
    gt = np.zeros(SHAPE)
    gt[SOLID, 30] = 1
    predicted = gt.copy()
    predicted[SOLID + 1, 40] = 1
    got = metrics(frame(predicted, gt))
    assert got.classes[LANE_MARKINGS[SOLID + 1]].iou is None
    assert got.iou.lane_markings == 1.0
    assert got.iou.road_elements is None
    assert got.hidden_iou.lane_markings is None


def test_what_the_map_does_not_tell_of_costs_nothing():
    gt = np.zeros(SHAPE)
    gt[CURB, 30] = 1
    predicted = np.zeros(SHAPE)
    predicted[CURB, 30:32] = 1
    known = np.ones(len(STATIC_CLASSES), bool)
    known[CURB] = False
    silent = frame(predicted, labels=labels_of(gt * 0, known=known))
    assert metrics(frame(predicted, gt), silent).classes["Curb"].iou == 0.5


def test_only_memory_is_asked_about_hidden_cells():
    gt = np.zeros(SHAPE)
    gt[SOLID, 30] = 1
    predicted = gt.copy()
    predicted[SOLID, 30, :20] = 0
    seen_now = np.ones(SHAPE[1:], bool)
    seen_now[:, :40] = False
    sight = Sight(seen_now, np.ones(SHAPE[1:], bool))
    assert metrics(frame(predicted, gt, sight=sight)).classes["SolidLine"].hidden_iou == 0.5
    never = Sight(seen_now, seen_now)
    assert metrics(frame(predicted, gt, sight=never)).classes["SolidLine"].hidden_iou is None


def test_nothing_at_all():
    got = metrics()
    assert (got.frames, got.iou.lane_markings, got.change.lane_markings) == (0, None, None)
    unlabelled = metrics(frame(np.zeros(SHAPE)))
    assert (unlabelled.frames, unlabelled.labelled_frames) == (1, 0)
    assert unlabelled.lines["0.5 m"]["all"].f1 is None


def test_a_certain_cell_counts_at_every_threshold():
    gt = np.zeros(SHAPE)
    gt[SOLID, 30] = 1
    at_half = metrics(frame(gt * 0.5, gt)).classes["SolidLine"]
    below = metrics(frame(gt * 0.499, gt)).classes["SolidLine"]
    assert (at_half.iou, below.iou, below.best_iou, below.best_threshold) == (1.0, 0.0, 1.0, 1 / 32)

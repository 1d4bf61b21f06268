"""Sequences with rare classes come more often, whole and by a plan that can be resumed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from leapai.config.training import StreamingConfig
from leapai.data.class_balance import LOOKED_AT, sequence_weights
from leapai.data.clip_mixture import ClipBalance, ClipShare
from leapai.data.log import DrivingLog
from leapai.data.samplers import SequenceSampler
from leapai.training import training_data
from leapai.types import Frame, Labels
from tests.scenes import make_frame
from tests.training.runs import training_config

SEQUENCES = ((30, (0,)), (60, (0, 1)), (10, (0, 1, 2)), (20, ()))
"""Frames of a sequence, and the classes that each of them shows."""
STREAMING = StreamingConfig(clip_frames=5)


class ClassLog(DrivingLog):
    """A sequence whose frames show given classes."""

    def __init__(self, name: str, frames: int, classes: tuple[int, ...] | None) -> None:
        self.name, self.frames, self.classes, self.read = name, frames, classes, 0

    @property
    def timestamps_us(self) -> np.ndarray:
        return 1_000_000 + np.arange(self.frames) * 100_000

    def __getitem__(self, index: int) -> Frame:
        raise AssertionError("no sensor is needed")

    def ground_truth(self, index: int) -> Frame:
        self.read += 1
        frame = make_frame(index)
        if self.classes is None:
            return frame
        boxes = np.ones((len(self.classes), 7))
        labels = Labels.unlabelled(boxes, np.array(self.classes, np.int64))
        return Frame(**{**vars(frame), "cameras": (), "points": None, "labels": labels})


def logs():
    return [ClassLog(f"drive{i}", *given) for i, given in enumerate(SEQUENCES)]


def test_weights_agree_with_those_of_single_frames():
    every_frame = [set(classes) for frames, classes in SEQUENCES for _ in range(frames)]
    count = Counter(c for classes in every_frame for c in classes)
    weight = np.array([sum(1 / count[c] for c in classes) for classes in every_frame])
    weight /= weight.mean()
    starts = np.cumsum([0, *(frames for frames, _ in SEQUENCES)])
    expected = [weight[a:b].mean() for a, b in pairwise(starts)]
    assert sequence_weights(logs(), 1.0) == pytest.approx(expected)
    mixed = [0.75 + 0.25 * w for w in expected]
    assert sequence_weights(logs(), 0.25) == pytest.approx(mixed)


def test_few_frames_are_looked_at_and_data_without_labels_is_even():
    given = logs()
    sequence_weights(given, 1.0)
    assert [log.read for log in given] == [LOOKED_AT, LOOKED_AT, 10, LOOKED_AT]
    assert sequence_weights([ClassLog("a", 3, None), ClassLog("b", 9, ())], 1.0) == (1.0, 1.0)


def sampled(balance, times=3000, streams=3):
    weights = sequence_weights(logs(), balance)
    lengths = [frames for frames, _ in SEQUENCES]
    walks = SequenceSampler(lengths, STREAMING, streams, 0, (ClipShare(4, 1.0, weights),))
    return [[walks.sample(s, t) for s in range(streams)] for t in range(times)]


def test_every_class_is_drawn_alike_and_clips_stay_whole():
    drawn: Counter[int] = Counter()
    clips: dict[int, list[int]] = {}
    for at_once in sampled(1.0):
        for sample in at_once:
            # A draw belongs to the classes of its frame by their share of its weight.
            classes = SEQUENCES[sample.sequence][1]
            frames_with = [sum(n for n, shown in SEQUENCES if c in shown) for c in classes]
            rare = np.array([1 / n for n in frames_with])
            for c, part in zip(classes, rare / rare.sum(), strict=True):
                drawn[c] += part
            clips.setdefault(sample.clip, []).append(sample.frame)
    assert drawn[0] == pytest.approx(drawn[1], rel=0.1)
    assert drawn[2] == pytest.approx(drawn[1], rel=0.1)
    for frames in clips.values():
        assert frames == list(range(frames[0], frames[0] + len(frames)))


def test_without_balance_all_is_as_before_and_with_it_a_plan_can_be_resumed():
    lengths = [frames for frames, _ in SEQUENCES]
    plain = SequenceSampler(lengths, STREAMING, 3, 0, (ClipShare(4, 1.0),))
    bare = SequenceSampler(lengths, STREAMING, 3, 0)
    assert all(plain.sample(1, t) == bare.sample(1, t) for t in range(200))
    shares = (ClipShare(4, 1.0, sequence_weights(logs(), 0.5)),)
    late = SequenceSampler(lengths, STREAMING, 3, 0, shares)
    assert [late.sample(s, 2999) for s in range(3)] == sampled(0.5)[2999]


def test_each_source_keeps_its_number_of_clips():
    shares = (ClipShare(2, 1.0, (0.0, 2.0)), ClipShare(1, 3.0, (1.0,)))
    clips, sequence = np.arange(30), np.array([0] * 10 + [1] * 15 + [2] * 5)
    drawn = ClipBalance(shares).order(clips, sequence, np.random.default_rng(0))
    assert Counter(sequence[drawn]) == {1: 25, 2: 5}
    assert set(drawn[sequence[drawn] == 2]) == set(range(25, 30))


def test_a_source_without_weights_is_drawn_evenly_beside_one_with_them():
    shares = (ClipShare(2, 1.0), ClipShare(2, 1.0, (0.0, 2.0)))
    clips, sequence = np.arange(40), np.repeat(np.arange(4), 10)
    drawn = ClipBalance(shares).order(clips, sequence, np.random.default_rng(0))
    assert Counter(sequence[drawn]) == {0: 10, 1: 10, 3: 20}


def test_the_configuration_balances_each_source(monkeypatch):
    monkeypatch.setattr(training_data, "logs_of", lambda *_, **__: logs())
    two = {"data": {"train": ("stub:0@2", "stub:1")}}
    plain = training_data.training_logs(training_config(**two))
    assert all(share.sequence_weights == () for share in plain.shares)
    config = training_config(**two, streaming={"clip_frames": 6, "class_balance": 0.5})
    weights = sequence_weights(logs(), 0.5)
    assert [s.sequence_weights for s in training_data.training_logs(config).shares] == [weights] * 2

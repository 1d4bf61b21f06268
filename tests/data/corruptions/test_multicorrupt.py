"""Corrupted drives: what they change, what they leave, and that it is always the same."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.data.corruptions.multicorrupt import (
    CORRUPTIONS,
    FAILING,
    OF_IMAGES,
    OF_POINTS,
    CorruptedLog,
)
from leapai.data.corruptions.seeded_draws import generator
from leapai.data.perturbation import without_cameras, without_lidar
from tests.scenes import RIG
from tests.training.runs import StubLog


def changed_sensors(frame, other):
    """Names of the sensors whose data differ between two frames."""
    names = {
        one.name
        for one, two in zip(frame.cameras, other.cameras, strict=True)
        if not np.array_equal(one.image, two.image)
    }
    return names | ({"lidar"} if not np.array_equal(frame.points, other.points) else set())


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_only_the_data_of_the_sensors_change(corruption):
    log = StubLog(frames=8)
    corrupted = CorruptedLog(log, corruption, 3, seed=0)
    cameras = {name for name, *_ in RIG}
    allowed = cameras if corruption in OF_IMAGES or corruption == "missingcamera" else set()
    allowed |= {"lidar"} if corruption in OF_POINTS else set()
    if corruption == "temporalmisalignment":
        allowed = cameras | {"lidar"}
    seen = set()
    for index in range(8):
        before, after = log[index], corrupted[index]
        seen |= changed_sensors(before, after)
        assert after.timestamp_us == before.timestamp_us
        assert (after.ego2global == before.ego2global).all()
        assert after.faults == before.faults
        np.testing.assert_array_equal(after.labels.boxes, before.labels.boxes)
        for one, two in zip(before.cameras, after.cameras, strict=True):
            assert one.timestamp_us == two.timestamp_us
            assert (one.ego_from_camera == two.ego_from_camera).all()
    assert seen == allowed
    np.testing.assert_array_equal(
        corrupted.ground_truth(2).labels.boxes, log.ground_truth(2).labels.boxes
    )


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_frame_is_the_same_in_any_order_and_another_for_another_seed(corruption):
    def sensors(seed, indices):
        log = CorruptedLog(StubLog(frames=8), corruption, 2, seed)
        return {i: log[i] for i in indices}

    one, other = sensors(0, range(8)), sensors(0, (7, 2, 5))
    for index, frame in other.items():
        assert not changed_sensors(frame, one[index])
    if corruption not in ("brightness", "beamsreducing"):
        again = sensors(1, range(8))
        assert any(changed_sensors(again[index], one[index]) for index in range(8))


def test_names_are_kept_apart_in_draws():
    draws = [generator(*names).random() for names in ((0, "a"), ("0", "a"), (0, "b"), (1, "a"))]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


@pytest.mark.parametrize("severity", [1, 2, 3])
def test_images_are_black_with_the_probability_of_the_benchmark(severity):
    log = StubLog(frames=60)
    corrupted = CorruptedLog(log, "missingcamera", severity, seed=0)
    black = [camera.image.max() == 0 for frame in map(corrupted.__getitem__, range(60))
             for camera in frame.cameras]  # fmt: skip
    assert np.mean(black) == pytest.approx(FAILING[severity - 1], abs=0.07)


def test_what_is_missing_at_a_severity_is_missing_at_the_next():
    log = StubLog(frames=12)
    missing = [
        {
            (index, camera.name)
            for index in range(12)
            for camera in CorruptedLog(log, "missingcamera", severity, 0)[index].cameras
            if camera.image.max() == 0
        }
        for severity in (1, 2, 3)
    ]
    assert missing[0] < missing[1] < missing[2]


def test_old_data_are_half_a_second_old_or_the_oldest_there_are():
    log = StubLog(frames=12)  # 10 Hz
    corrupted = CorruptedLog(log, "temporalmisalignment", 3, seed=0)
    old = 0
    for index in range(12):
        before, after, earlier = log[index], corrupted[index], log[max(index - 5, 0)]
        for sensor in changed_sensors(before, after):
            old += 1
            if sensor == "lidar":
                np.testing.assert_array_equal(after.points, earlier.points)
            else:
                images = [
                    next(c.image for c in frame.cameras if c.name == sensor)
                    for frame in (after, earlier)
                ]
                np.testing.assert_array_equal(*images)
    assert old / (11 * (len(RIG) + 1)) == pytest.approx(0.6, abs=0.12)
    assert not changed_sensors(log[0], corrupted[0])


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_sensor_that_has_failed_stays_so(corruption):
    log = StubLog(frames=3, change=lambda _, frame: without_lidar(without_cameras(frame)))
    for index in range(3):
        frame = CorruptedLog(log, corruption, 3, 0)[index]
        assert frame.points is None
        assert all(camera.image is None for camera in frame.cameras)

"""`leapai inspect` tells sabotaged data from data in order, without recorded numbers of points."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from leapai.cli import main
from leapai.data.log import DrivingLog, LogWrapper, open_logs
from leapai.geometry import poses
from leapai.inspection import plausibility
from leapai.inspection.inspection_pictures import write_pictures
from leapai.inspection.log_inspection import Inspection, inspect_logs
from leapai.types import Frame

WORLD = "synthetic:seed=1,frames=3,rate_hz=4,beams=24"
SIZE_PX = (96, 180)


class Remembered(LogWrapper):
    """Keeps its frames: a frame of the world takes time."""

    def __init__(self, inner: DrivingLog) -> None:
        super().__init__(inner)
        self._frames: dict[int, Frame] = {}

    def __getitem__(self, index: int) -> Frame:
        if index not in self._frames:
            frame = self.inner[index]
            unknown = np.full(len(frame.labels), -1)
            labels = replace(frame.labels, num_lidar_points=unknown)
            self._frames[index] = replace(frame, labels=labels)
        return self._frames[index]


@lru_cache
def world() -> DrivingLog:
    """A drive without recorded numbers of points."""
    (log,) = open_logs(WORLD, image_size_px=SIZE_PX)
    return Remembered(log)


class Sabotaged(LogWrapper):
    """The drive with every frame changed."""

    def __init__(self, change) -> None:
        super().__init__(world())
        self._change = change

    def __getitem__(self, index: int) -> Frame:
        return self._change(self.inner[index])


def verdict(change) -> Inspection:
    return inspect_logs([Sabotaged(change)], max_frames=3)


def of_points(change):
    def changed(frame):
        points = frame.points.copy()
        change(points)
        return replace(frame, points=points)

    return changed


def higher(points):
    points[:, 2] += 5


def brighter(points):
    points[:, 3] *= 255


def darker(points):
    points[:, 3] /= 255


def mirrored(points):
    points[:, 1] *= -1


def length_for_width(frame):
    boxes = frame.labels.boxes[:, [0, 1, 2, 4, 3, 5, 6]]
    return replace(frame, labels=replace(frame.labels, boxes=boxes))


def inverted_pose(frame):
    return replace(frame, ego2global=poses.invert(frame.ego2global))


def of_cameras(change):
    return lambda frame: replace(frame, cameras=tuple(map(change, frame.cameras)))


def swapped_axes(camera):
    """A camera with x forward, y left, z up."""
    pose = camera.ego_from_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    return replace(camera, ego_from_camera=pose)


def late_camera(camera):
    late_us = 500_000 if camera.name == "back" else 0
    return replace(camera, timestamp_us=camera.timestamp_us - late_us)


def late_points(points):
    points[:, 4] -= 0.5


def test_the_world_in_order_is_ok():
    assert verdict(lambda frame: frame).warnings == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of_points(higher), r"ground under the vehicle is at z = 5\.\d\d m"),
        (of_points(brighter), r"intensity is .*; it must be in \[0, 1\] \(is it 0 to 255\?\)"),
        (of_points(darker), r"the brightest point has an intensity of 0\.00.*divided by 255 twice"),
        (of_points(mirrored), "boxes mirrored in y hold .* times the points"),
        (length_for_width, "boxes turned by 90 degrees hold .* times the points"),
        (inverted_pose, r"check ego2global \(is it inverted\?\)"),
        (of_cameras(swapped_axes), "back: its image is not upright in the ego frame"),
        (of_cameras(late_camera), r"back: its data is 0\.\d+ s before the time of the frame"),
        (of_points(late_points), r"LiDAR: its data is 0\.\d+ s before the time of the frame"),
    ],
)
def test_sabotage_is_told(change, words):
    found = verdict(change).warnings
    assert any(re.search(words, each) for each in found), found


class InNanoseconds(Sabotaged):
    """The drive with times a thousand times too large."""

    def __init__(self) -> None:
        super().__init__(lambda frame: replace(frame, timestamp_us=frame.timestamp_us * 1000))

    @property
    def timestamps_us(self):
        return self.inner.timestamps_us * 1000


def without_sensors(frame):
    return replace(frame, points=None, cameras=tuple(replace(c, image=None) for c in frame.cameras))


def test_frames_without_any_sensor_are_told():
    found = verdict(without_sensors).warnings
    assert "none of the 3 frames read has an image or a point" in found


@pytest.mark.parametrize("order", [[0, 1, 2, 4, 3, 5, 6], [0, 1, 2, 5, 4, 3, 6]])
def test_an_order_of_sizes_is_told_without_points(order):
    def changed(frame):
        boxes = frame.labels.boxes[:, order]
        return without_sensors(replace(frame, labels=replace(frame.labels, boxes=boxes)))

    found = verdict(changed).warnings
    assert any("vehicles are wider or higher than long: check the order" in w for w in found), found


def test_times_in_nanoseconds_are_told():
    found = inspect_logs([InNanoseconds()], max_frames=1).warnings
    assert "times seem to be nanoseconds; they must be microseconds" in found


def other_way(frame):
    """Images of the left and the right camera in each other's place."""
    images = {camera.name: camera.image for camera in frame.cameras}
    other = {"front_left": "front_right", "front_right": "front_left"}
    return replace(
        frame,
        cameras=tuple(
            replace(camera, image=images[other.get(camera.name, camera.name)])
            for camera in frame.cameras
        ),
    )


def test_images_that_are_another_cameras_are_told_by_their_edges():
    found = verdict(other_way).warnings
    assert {words.partition(":")[0] for words in found} == {"front_left", "front_right"}


def test_a_camera_that_no_group_takes_is_told():
    found = verdict(of_cameras(lambda camera: replace(camera, group="top"))).warnings
    assert any("refused" in words and ": group is 'top'" in words for words in found)


def front_only(frame):
    return replace(frame, points=frame.points[frame.points[:, 0] > 0])


def one_point(frame):
    return replace(frame, points=frame.points[:1])


def no_points(frame):
    return replace(frame, points=frame.points[:0])


@pytest.mark.parametrize("change", [front_only, one_point, no_points])
def test_a_lidar_that_sees_little_is_drawn(tmp_path, change):
    log = Sabotaged(change)
    assert write_pictures([log], tmp_path, 1) == 8
    few = "points a frame" in " ".join(inspect_logs([log], 1).warnings)
    assert few == (change is not front_only)


def test_the_command_says_ok_and_draws_nothing_where_it_must_not(tmp_path, capsys):
    options = ["--max-frames", "1", "--pictures", "0", "--output", str(tmp_path / "pictures")]
    assert main(["inspect", "synthetic:seed=1,frames=1,beams=24", *options]) == 0
    assert "OK" in capsys.readouterr().out
    assert not (tmp_path / "pictures").exists()


def test_the_command_has_a_status_of_its_own_for_warnings(tmp_path, capsys, monkeypatch):
    options = ["--max-frames", "1", "--pictures", "0", "--output", str(tmp_path)]
    monkeypatch.setattr(plausibility, "MIN_POINTS", 1_000_000)
    with pytest.raises(SystemExit) as ended:
        main(["inspect", "synthetic:seed=1,frames=1,beams=2", *options])
    assert ended.value.code == 1
    assert "points a frame" in capsys.readouterr().out

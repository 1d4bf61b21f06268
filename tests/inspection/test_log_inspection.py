import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from leapai.data.log import DrivingLog, open_logs
from leapai.data.reading import AnnotatedBoxes
from leapai.geometry import poses
from leapai.inspection.log_inspection import (
    MAX_PAIRS,
    inspect_logs,
    points_inside,
    render_inspection,
)
from leapai.types import CameraFrame, Frame, Labels

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
BOX = np.array([[10.0, 0.0, 1.0, 4.0, 2.0, 2.0, 0.0]])


def frame_of(index, recorded_points=2):
    """One box that holds two points; the camera fails in odd frames, the LiDAR in frame 4."""
    labels = replace(
        Labels.unlabelled(BOX, np.array([0])), num_lidar_points=np.array([recorded_points])
    )
    failed = bool(index % 2)
    camera = CameraFrame(
        name="front",
        group="front_wide",
        image=None if failed else np.arange(72, dtype=np.uint8).reshape(4, 6, 3),
        size_px=(4, 6),
        intrinsics=np.array([[5.0, 0, 3], [0, 5, 2], [0, 0, 1]]),
        distortion=np.zeros(5),
        ego_from_camera=np.array([[0.0, 0, 1, 1], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1]]),
        timestamp_us=index * 100_000,
    )
    points = np.array([[10, 0, 1, 0, 0], [9, 0.5, 0.5, 0, 0], [30, 0, 0, 0, 0]], np.float32)
    return Frame(
        sequence="made-up",
        timestamp_us=index * 100_000,
        ego2global=np.eye(4),
        cameras=(camera,),
        points=None if index == 4 else points,
        labels=labels,
        faults=("front: front.jpg: holds no bytes",) if failed else (),
    )


class Log(DrivingLog):
    """Five frames at 10 Hz that offer nothing beside themselves."""

    name = "made-up"
    timestamps_us = np.arange(5) * 100_000

    def __init__(self, recorded_points=2):
        self.recorded_points = recorded_points
        self.read = []

    def __getitem__(self, index):
        self.read.append(index)
        return frame_of(index, self.recorded_points)


class LogWithTables(Log):
    """The same with recorded boxes at hand, one of a foreign class; sweeps in frames 1 and 2."""

    def annotated_boxes(self, index):
        return AnnotatedBoxes(
            ego_from_box=np.tile(poses.from_xyz_yaw(BOX[:, :3], BOX[:, 6]), (2, 1, 1)),
            size_lwh_m=np.tile(BOX[:, 3:6], (2, 1)),
            words=("CAR", "DOG"),
            class_id=np.array([0, -1]),
            num_lidar_points=np.array([2, 5]),
        )

    def has_sweep(self, index):
        return index in (1, 2)


def test_metrics_of_a_log_that_offers_frames_only():
    metrics = inspect_logs([Log(), Log()])
    assert (metrics.sequences, metrics.frames, metrics.frames_read) == (2, 10, 10)
    assert metrics.rate_hz == pytest.approx(10.0)
    assert metrics.frames_with_points == 8
    (camera,) = metrics.cameras
    assert (camera.name, camera.group, camera.frames_with_image) == ("front", "front_wide", 6)
    assert (camera.width_px, camera.height_px) == (6, 4)
    assert metrics.boxes_by_class["car"] == 10
    (fault,) = metrics.faults
    assert (fault.sensor, fault.frames, fault.example) == ("front", 4, "front.jpg: holds no bytes")


@pytest.mark.parametrize(
    ("recorded", "exact", "within_2"), [(2, 4, 4), (4, 0, 4), (5, 0, 0), (0, 0, 4)]
)
def test_points_in_boxes_are_compared_with_the_recorded_number(recorded, exact, within_2):
    counts = inspect_logs([Log(recorded)]).point_counts
    assert (counts.boxes, counts.exact, counts.within_2) == (4, exact, within_2)


def test_boxes_without_a_recorded_number_are_not_compared():
    assert inspect_logs([Log(recorded_points=-1)]).point_counts.boxes == 0


def test_boxes_without_counterpart_are_counted_by_the_publishers_word():
    metrics = inspect_logs([LogWithTables()])
    assert metrics.boxes_by_class["car"] == 5
    assert metrics.boxes_without_counterpart == {"DOG": 5}
    assert metrics.point_counts.boxes == 8
    assert metrics.point_counts.exact == 4


def test_few_frames_are_read_and_those_with_a_sweep_first():
    log = LogWithTables()
    metrics = inspect_logs([log], max_frames=3)
    assert metrics.frames_read == 3
    assert log.read == [0, 1, 2, 3]  # the last is the successor of one
    assert metrics.frames_annotated == 5  # boxes need no sensor


def test_frames_read_are_spread_over_the_drive():
    log = Log()
    inspect_logs([log], max_frames=3)
    assert log.read == [0, 1, 2, 3, 4]  # each with its successor, for the motion between them
    many = Log()
    many.timestamps_us = np.arange(50) * 100_000
    inspect_logs([many], max_frames=10)
    assert len(many.read) == 10 + MAX_PAIRS


def test_a_tilted_box_is_counted_as_recorded():
    pitch = poses.from_quaternion(np.array([np.cos(0.2), 0, np.sin(0.2), 0]), np.zeros(3))
    recorded = LogWithTables().annotated_boxes(0)._replace(ego_from_box=np.stack([pitch] * 2))
    along_its_axis = poses.apply(pitch, np.array([[1.9, 0.0, 0.0], [0.0, 0.0, 1.1]]))
    assert points_inside(recorded, along_its_axis).tolist() == [1, 1]


def test_metrics_survive_json_and_fit_a_terminal():
    metrics = inspect_logs([LogWithTables()])
    content = json.loads(metrics.model_dump_json())
    assert content["point_counts"] == {"boxes": 8, "exact": 4, "within_2": 4}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render_inspection(metrics))
    text = console.export_text()
    assert "5 at 10.00 Hz" in text
    assert "as recorded in 4 of 8, within 2 in 4" in text
    assert "DOG (no counterpart)" in text
    assert "holds no bytes" in text


def test_nuscenes_keyframe_holds_the_recorded_points():
    root = SHARED / "nuscenes"
    if not root.is_dir():
        pytest.skip(f"no nuScenes sample at {root}")
    metrics = inspect_logs(open_logs(f"nuscenes:{root}", image_size_px=(512, 960)))
    counts = metrics.point_counts
    assert (counts.boxes, counts.exact, counts.within_2) == (69, 61, 67)
    assert metrics.rate_hz is None
    assert sum(metrics.boxes_by_class.values()) == 69
    assert all(camera.frames_with_image == 1 for camera in metrics.cameras)


def test_argoverse2_sweeps_hold_the_recorded_points():
    root = SHARED / "argoverse2"
    if not root.is_dir():
        pytest.skip(f"no Argoverse 2 sample at {root}")
    logs = open_logs(f"argoverse2:{root}", image_size_px=(512, 960))
    metrics = inspect_logs(logs, max_frames=4)
    counts = metrics.point_counts
    assert (counts.boxes, counts.exact, counts.within_2) == (162, 162, 162)
    assert metrics.rate_hz == pytest.approx(10.0, abs=0.1)
    assert metrics.boxes_without_counterpart == {"STROLLER": 122}
    assert sum(metrics.boxes_by_class.values()) == 11_364 - 122


def test_frames_that_a_stream_refuses_are_a_warning_and_new_faults_are_faults():
    class Jumps(Log):
        def __getitem__(self, index):
            frame = frame_of(index)
            pose = np.eye(4)
            pose[0, 3] = 5000.0 if index == 2 else 0.0
            (camera,) = frame.cameras
            black = replace(camera, image=np.zeros((4, 6, 3), np.uint8))
            return replace(frame, ego2global=pose, cameras=(black,))

    inspection = inspect_logs([Jumps()])
    (words,) = [words for words in inspection.warnings if "refused" in words]
    assert words.startswith("1 frames are refused; the first: made-up at 200000 us: ego2global mov")
    assert inspection.frames_read == 4
    (camera,) = inspection.faults
    assert (camera.sensor, camera.example[:7]) == ("front", "image: ")

"""Results as a bag of ROS 2, read back with rosbags."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rosbags")
from rosbags.highlevel import AnyReader

from leapai.data.bags.bag_file import BagFile
from leapai.geometry import poses
from leapai.pictures.ros_recording import DETECTIONS, HEALTH, SequenceRecording
from tests.pictures.made_up import car, detections, frame


def record(path, frames, found):
    """Records, and returns topic -> times in microseconds and messages, by the definitions in the
    bag."""
    with SequenceRecording(path, None, confident=0.3) as recording:
        for each, of_frame in zip(frames, found, strict=True):
            recording.add(each, of_frame, None)
    topics = {}
    with AnyReader([path]) as reader:
        for connection, time_ns, content in reader.messages():
            message = reader.deserialize(content, connection.msgtype)
            topics.setdefault(connection.topic, []).append((time_ns // 1000, message))
    return topics


def test_objects_are_detections_of_vision_msgs(tmp_path):
    found = detections(
        [car(10, 2, 0.5), car(20, 0), car(30, 0)], track_id=[7, -1, 9], score=[0.875, 0.5, 0.1]
    )
    frames = [frame(), frame(1)]
    topics = record(tmp_path / "a.mcap", frames, [found, detections([])])
    (first_us, first), (second_us, second) = topics[DETECTIONS]
    assert [first_us, second_us] == [each.timestamp_us for each in frames]
    assert type(first).__msgtype__ == "vision_msgs/msg/Detection3DArray"
    assert first.header.frame_id == "base_link"
    stamp = first.header.stamp
    assert stamp.sec * 10**6 + stamp.nanosec // 1000 == first_us
    assert [each.id for each in first.detections] == ["7", ""]  # one is not confident
    assert len(second.detections) == 0
    (result,), box = first.detections[0].results, first.detections[0].bbox
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("car", 0.875)
    assert [box.size.x, box.size.y, box.size.z] == pytest.approx([4.0, 2.0, 1.6])
    place, turn = box.center.position, box.center.orientation
    pose = poses.from_quaternion(
        np.array([turn.w, turn.x, turn.y, turn.z]), np.array([place.x, place.y, place.z])
    )
    np.testing.assert_allclose(pose, poses.from_xyz_yaw(np.array([10, 2, 0.8]), 0.5), atol=1e-9)


def test_faults_are_diagnostics_and_end_with_the_frame(tmp_path):
    words = "front: image: cannot be decoded"
    frames = [frame(faults=(words,)), frame(1)]
    topics = record(tmp_path / "a.mcap", frames, [detections([])] * 2)
    (_, first), (_, second) = topics[HEALTH]
    (status,) = first.status
    assert (status.name, status.message, status.level) == ("front", words, status.WARN)
    assert len(second.status) == 0


def test_our_own_reader_of_bags_lists_it(tmp_path):
    record(tmp_path / "a.mcap", [frame()], [detections([])])
    assert BagFile(tmp_path / "a.mcap").types == {
        DETECTIONS: "vision_msgs/msg/Detection3DArray",
        HEALTH: "diagnostic_msgs/msg/DiagnosticArray",
    }

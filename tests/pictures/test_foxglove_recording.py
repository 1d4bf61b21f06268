"""What is in a recording for Foxglove, read back with the reader of MCAP."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from leapai.geometry import poses
from leapai.types import MapLine, MapPolyline, MemorySlots
from tests.pictures.made_up import FAR_AWAY, RIG, camera, car, detections, frame, gt
from tests.recordings import foxglove_recorded, needs_mcap

pytest.importorskip("mcap_protobuf", reason=needs_mcap)
from mcap.reader import make_reader

from leapai.pictures.foxglove_layout import foxglove_layout
from leapai.pictures.foxglove_recording import SequenceRecording

START_US = frame().timestamp_us


def record(path, frames, found=None, *, memory=None, vector_map=None, lines=()):
    found = found or [detections([]) for _ in frames]
    with SequenceRecording(path, vector_map, confident=0.3) as recording:
        for each, of_frame in zip(frames, found, strict=True):
            recording.add(each, of_frame, memory, lines)
    return foxglove_recorded(path)


def only(topics, topic):
    ((_, message),) = topics[topic]
    return message


def xyz(vector):
    return [vector.x, vector.y, vector.z]


def matrix(position, rotation):
    return poses.from_quaternion(
        np.array([rotation.w, rotation.x, rotation.y, rotation.z]), np.array(xyz(position))
    )


def test_every_topic_has_a_message_for_every_frame_at_its_time(tmp_path):
    times_us = [START_US + t for t in (0, 100_000, 1_350_001)]
    cameras = tuple(camera(name, azimuth) for name, azimuth in RIG.items())
    frames = [
        frame(timestamp_us=t, cameras=cameras, points=np.ones((4, 5), np.float32), labels=gt([]))
        for t in times_us
    ]
    topics = record(tmp_path / "a.mcap", frames)
    of_cameras = {f"/camera/{name}/{kind}" for name in RIG for kind in ("image", "calibration")}
    every_frame = {"/tf", "/lidar", "/objects", "/map", "/trails", "/ground_truth", "/metrics"}
    assert set(topics) == of_cameras | every_frame | {"/vehicle"}
    for topic in of_cameras | every_frame:
        assert [time_us for time_us, _ in topics[topic]] == times_us
    for topic in ("/lidar", "/camera/back/image", "/camera/back/calibration"):
        stamps = [each.timestamp for _, each in topics[topic]]
        assert [each.seconds * 10**6 + each.nanos // 1000 for each in stamps] == times_us


def test_a_file_that_is_damaged_does_not_pass_its_checksums(tmp_path):
    path = tmp_path / "a.mcap"
    record(path, [frame(points=np.random.default_rng(0).normal(size=(500, 5)))])
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(Exception, match=r"(?i)crc|compress|corrupt|checksum"):
        foxglove_recorded(path)


def test_world_is_where_the_first_frame_is_however_far_from_the_origin(tmp_path):
    moved = FAR_AWAY @ poses.from_xyz_yaw(np.array([2.5, 0.0, 0.0]), 0.1)
    frames = [frame(), frame(1, ego2global=moved, cameras=(camera("back", 180.0),))]
    topics = record(tmp_path / "a.mcap", frames)
    first, second = ([*each.transforms] for _, each in topics["/tf"])
    assert (first[0].parent_frame_id, first[0].child_frame_id) == ("world", "ego")
    np.testing.assert_allclose(matrix(first[0].translation, first[0].rotation), np.eye(4))
    found = matrix(second[0].translation, second[0].rotation)
    np.testing.assert_allclose(found, poses.invert(FAR_AWAY) @ moved, atol=1e-9)
    assert (second[1].parent_frame_id, second[1].child_frame_id) == ("ego", "camera/back")
    found = matrix(second[1].translation, second[1].rotation)
    np.testing.assert_allclose(found, camera("back", 180.0).ego_from_camera, atol=1e-9)


def test_objects_have_box_identity_velocity_and_occlusion(tmp_path):
    found = detections(
        [car(10, 2, 0.5), car(20, 0), car(30, 0)],
        velocity_mps=[[3, 4, 0], [0, 0, 0], [0, 0, 0]],
        occlusion_level=[2, 0, 0],
        track_id=[7, -1, 9],
        score=[0.875, 0.5, 0.1],
    )
    update = only(record(tmp_path / "a.mcap", [frame()], [found]), "/objects")
    first, second = update.entities  # one is not confident
    assert (first.id, second.id) == ("track 7", "without a track 1")
    (cube,) = first.cubes
    assert xyz(cube.size) == pytest.approx([4.0, 2.0, 1.6])
    pose = matrix(cube.pose.position, cube.pose.orientation)
    np.testing.assert_allclose(pose, poses.from_xyz_yaw(np.array([10, 2, 0.8]), 0.5), atol=1e-9)
    assert [xyz(point) for point in first.lines[0].points] == [[10, 2, 0.8], [13, 6, 0.8]]
    assert first.texts[0].text == "car 7"
    assert {fact.key: fact.value for fact in first.metadata} == {
        "class": "car", "track_id": "7", "confidence": "0.875", "occlusion": "PartlyOccluded",
        "velocity_mps": "3.000 4.000 0.000", "speed_mps": "5.000",
    }  # fmt: skip
    assert update.deletions[0].type == update.deletions[0].ALL  # those of the frame before go


def test_ground_truth_is_grey(tmp_path):
    labels = gt([car(10, 2, 0.5), car(20, 0)])
    update = only(record(tmp_path / "a.mcap", [frame(labels=labels)]), "/ground_truth")
    assert [xyz(each.cubes[0].pose.position) for each in update.entities] == [
        [10, 2, 0.8], [20, 0, 0.8],
    ]  # fmt: skip
    colour = update.entities[0].cubes[0].color
    assert max(colour.r, colour.g, colour.b) - min(colour.r, colour.g, colour.b) < 0.15


def test_trails_lead_through_the_world_to_where_objects_are(tmp_path):
    """The ego drives 1 m a frame; the object stands still, and another comes later."""
    frames, found = [], []
    for i in range(3):
        ego = FAR_AWAY @ poses.from_xyz_yaw(np.array([i, 0.0, 0.0]), 0.0)
        frames.append(frame(i, ego2global=ego))
        boxes = [car(10 - i, 2)] if i < 2 else [car(10 - i, 2), car(30, 0)]
        found.append(detections(boxes, track_id=[4, 5][: len(boxes)]))
    last = record(tmp_path / "a.mcap", frames, found)["/trails"][-1][1]
    (entity,) = last.entities
    assert entity.frame_id == "world"
    (line,) = entity.lines
    np.testing.assert_allclose([xyz(p) for p in line.points], [[10, 2, 0.8]] * 3, atol=1e-6)


def test_maps_are_lines_by_their_kinds(tmp_path):
    kerb = MapPolyline("Curb", 0.9, np.array([[4.0, 2.0], [20.0, 2.5]]))
    way = poses.apply(FAR_AWAY, np.array([[5.0, 1.0, 0.0], [6.0, 1.0, 0.0]]))
    given = (MapLine("LANE", "lane_divider", way),)
    topics = record(tmp_path / "a.mcap", [frame(), frame(1)], vector_map=given, lines=(kerb,))
    (entity,) = topics["/map"][1][1].entities
    assert (entity.id, entity.frame_id) == ("Curb", "ego")
    assert [xyz(point) for point in entity.lines[0].points] == [[4, 2, 0], [20, 2.5, 0]]
    (entity,) = only(topics, "/map/given").entities  # once
    assert (entity.id, entity.frame_id) == ("lane_divider", "world")
    points = [xyz(point) for point in entity.lines[0].points]
    np.testing.assert_allclose(points, [[5, 1, 0], [6, 1, 0]], atol=1e-6)


def test_points_are_packed_and_rounded_below_the_noise_of_the_sensor(tmp_path):
    points = np.array([[1.001, -2.5, 0.25, 0.5, 0], [100.004, 7, 1, 2.0, 0]], np.float32)
    cloud = only(record(tmp_path / "a.mcap", [frame(points=points)]), "/lidar")
    kinds = [np.dtype({7: "<f4", 1: "u1"}[field.type]) for field in cloud.fields]
    layout = np.dtype({
        "names": [field.name for field in cloud.fields], "formats": kinds,
        "offsets": [field.offset for field in cloud.fields], "itemsize": cloud.point_stride,
    })  # fmt: skip
    table = np.frombuffer(cloud.data, layout)
    found = np.stack([table[axis] for axis in "xyz"], -1)
    np.testing.assert_allclose(found, points[:, :3], atol=1 / 256)
    assert table["intensity"].tolist() == [128, 255]
    assert cloud.frame_id == "ego"


def test_images_are_reduced_with_their_calibration(tmp_path):
    wide = camera(
        image=np.full((240, 1280, 3), (200, 40, 90), np.uint8), size_px=(240, 1280),
        distortion=np.array([0.1, 0.02, 0, 0, 0.003]),
        intrinsics=np.array([[900, 0, 639.5], [0, 900, 119.5], [0, 0, 1.0]]),
    )  # fmt: skip
    topics = record(tmp_path / "a.mcap", [frame(cameras=(wide,))])
    image = only(topics, "/camera/front/image")
    pixels = np.asarray(Image.open(BytesIO(image.data)))
    assert pixels.shape == (120, 640, 3)
    assert np.abs(pixels.astype(int) - (200, 40, 90)).max() < 5
    calibration = only(topics, "/camera/front/calibration")
    assert (calibration.width, calibration.height) == (640, 120)
    np.testing.assert_allclose(calibration.K, [450, 0, 319.5, 0, 450, 59.5, 0, 0, 1])
    np.testing.assert_allclose(calibration.P[:3], [450, 0, 319.5])
    assert list(calibration.D) == pytest.approx([0.1, 0.02, 0, 0, 0.003])
    assert calibration.distortion_model == "plumb_bob"
    assert image.frame_id == calibration.frame_id == "camera/front"


def test_sensors_that_fail_are_empty_and_named(tmp_path):
    words = ("front: image: cannot be decoded", "lidar: 5.bin: no such file")
    lost = frame(cameras=(camera(image=None),), faults=words)
    memory = MemorySlots(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(2, int), np.ones(2, int))
    topics = record(tmp_path / "a.mcap", [lost], memory=memory)
    assert only(topics, "/lidar").data == b""
    picture = np.asarray(Image.open(BytesIO(only(topics, "/camera/front/image").data)))
    assert picture.shape == (120, 240, 3)
    assert [each.message for _, each in topics["/health"]] == list(words)
    assert [each.name for _, each in topics["/health"]] == ["front", "lidar"]
    assert only(topics, "/metrics") == {"objects": 0, "memory_slots": 2, "points": 0, "faults": 2}


def test_the_layout_shows_topics_that_are_recorded(tmp_path):
    cameras = (camera("front"), camera("back", 180.0))
    faulty = replace(frame(cameras=cameras), faults=("front: is dark",))
    lines = (MapLine("LANE", "lane_divider", poses.apply(FAR_AWAY, np.eye(3))),)
    topics = record(tmp_path / "a.mcap", [faulty], vector_map=lines)
    panels = foxglove_layout(["front", "back"])["configById"]
    named = set(panels["3D!scene"]["topics"]) | {panels["RosOut!health"]["topicToRender"]}
    for name in ("front", "back"):
        mode = panels[f"Image!{name}"]["imageMode"]
        named |= {mode["imageTopic"], mode["calibrationTopic"]}
    assert named <= set(topics)
    first = only(topics, "/metrics")
    assert all(
        p["value"].removeprefix("/metrics.") in first for p in panels["Plot!metrics"]["paths"]
    )


def test_a_recording_that_fails_leaves_no_layout(tmp_path):
    recording = SequenceRecording(tmp_path / "a.mcap", None, 0.3)
    with pytest.raises(AttributeError), recording:
        recording.add(None, detections([]), None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mcap"]


def test_the_file_has_a_summary_by_which_viewers_seek(tmp_path):
    record(tmp_path / "a.mcap", [frame(), frame(1)])
    with (tmp_path / "a.mcap").open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary.statistics.message_end_time == (START_US + 100_000) * 1000
    assert {schema.encoding for schema in summary.schemas.values()} == {"protobuf", "jsonschema"}

"""What is in a recording, read back with rerun's own reader."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from leapai.geometry import boxes as box_geometry
from leapai.geometry import cameras as camera_geometry
from leapai.geometry import poses
from leapai.pictures.camera_overlay import CameraView
from leapai.pictures.palette import CLASS_COLOURS, MAP_ELEMENT_COLOURS
from leapai.types import MapLine, MapPolyline, MemorySlots
from tests.pictures.made_up import RIG, camera, car, detections, frame, gt
from tests.recordings import blueprint_of, needs_rerun, recorded

pytest.importorskip("rerun", reason=needs_rerun)
from leapai.pictures.recording import SequenceRecording
from leapai.pictures.recording_bounds import IMAGE_WIDTH_PX, POINT_STEP_M
from leapai.pictures.recording_parts import recorded_size_px

pytestmark = pytest.mark.filterwarnings("error")  # rerun only warns of what it cannot record

BOXES, FRONT = "/world/ego/boxes", "/world/ego/cameras/front"
EVERY_FRAME = (
    "/world/ego",
    "/world/ego/lidar",
    "/world/ego/ground_truth",
    "/world/ego/road",
    BOXES,
    f"{BOXES}/heading",
    f"{BOXES}/velocity",
    "/world/ego/unsure",
    "/world/ego/memory",
    "/world/ego/memory/velocity",
    "/world/tracks",
    FRONT,
    f"{FRONT}/image",
    f"{FRONT}/boxes",
    f"{FRONT}/ground_truth",
    f"{FRONT}/road",
)


def record(path, frames, found, *, memory=None, vector_map=None):
    with SequenceRecording(path, vector_map, confident=0.3) as recording:
        for each, of_frame in zip(frames, found, strict=True):
            recording.add(each, of_frame, memory)
    return recorded(path)


def record_one(tmp_path, found=None, memory=None, **changes):
    found = detections([]) if found is None else found
    return record(tmp_path / "a.rrd", [frame(**changes)], [found], memory=memory)


def memory_of(position_m, velocity_mps, age):
    return MemorySlots(
        np.array(position_m), np.array(velocity_mps), np.zeros(len(age), np.int64), np.array(age)
    )


def rgb(colours):
    """[N, 3] of rerun's 0xRRGGBBAA."""
    return [(c >> 24, c >> 16 & 255, c >> 8 & 255) for c in colours]


def points_of(rows):
    return np.array(rows, np.float64).reshape(-1, 3)


def test_every_entity_has_a_row_for_every_frame_on_both_timelines(tmp_path):
    start = frame().timestamp_us
    times_us = [0, 250_000, 1_250_001]
    sensors = {"cameras": (camera(),), "points": np.ones((4, 5), np.float32)}
    frames = [frame(timestamp_us=start + t, labels=gt([]), **sensors) for t in times_us]
    found = [detections([car(10, 0)]), detections([]), detections([car(10, 0), car(20, 3)])]
    entities = record(tmp_path / "a.rrd", frames, found)
    for path in EVERY_FRAME:
        assert entities[path]["frame"] == [0, 1, 2], path
        in_sequence = [round(time.total_seconds() * 1e6) for time in entities[path]["time"]]
        assert in_sequence == times_us, path
    assert [len(row) for row in entities[BOXES]["Boxes3D:centers"]] == [1, 0, 2]
    assert "log_time" not in entities[BOXES]


def test_a_box_is_where_it_is_said_to_be_and_says_what_it_is(tmp_path):
    box = [12.0, -3.0, 0.9, 4.6, 1.9, 1.5, 0.7]
    labels = {"class_id": [4], "score": [0.871], "occlusion_level": [2], "track_id": [12]}
    entities = record_one(tmp_path, detections([box], **labels))
    row = {name: rows[0] for name, rows in entities[BOXES].items()}
    assert row["Boxes3D:centers"][0] == pytest.approx(box[:3])
    assert row["Boxes3D:half_sizes"][0] == pytest.approx(np.array(box[3:6]) / 2)
    x, y, z, w = row["Boxes3D:quaternions"][0]
    assert (x, y, 2 * np.arctan2(z, w)) == pytest.approx((0, 0, box[6]))
    assert rgb(row["Boxes3D:colors"]) == [CLASS_COLOURS[4]]
    assert row["Boxes3D:labels"] == ["non_motor 12  0.87  partly"]
    reported = {
        name: row[name] for name in ("confidence", "track_id", "class_id", "occlusion_level")
    }
    expected = {"confidence": [0.871], "track_id": [12], "class_id": [4], "occlusion_level": [2]}
    assert reported == expected
    nose = points_of(entities[f"{BOXES}/heading"]["LineStrips3D:strips"][0][0])[1]
    ahead = np.array([np.cos(0.7), np.sin(0.7), 0]) * 2.3
    assert nose == pytest.approx(np.array(box[:3]) + ahead, abs=1e-5)


def test_a_detection_without_id_and_in_full_view_says_only_its_class_and_confidence(tmp_path):
    entities = record_one(tmp_path, detections([car(10, 0)], track_id=[-1]))
    assert entities[BOXES]["Boxes3D:labels"][0] == ["car  0.90"]


def test_lines_of_the_road_lie_on_the_ground_and_in_the_cameras(tmp_path):
    kerb = MapPolyline("Curb", 0.934, np.array([[4.0, 2.0], [20.0, 2.0], [40.0, 5.0]]))
    one = frame(cameras=(camera(),))
    with SequenceRecording(tmp_path / "a.rrd", None, confident=0.3) as recording:
        recording.add(one, detections([]), None, (kerb,))
        recording.add(one, detections([]), None)
    entities = recorded(tmp_path / "a.rrd")
    lines, projected = entities["/world/ego/road"], entities[f"{FRONT}/road"]
    expected = [[4, 2, 0], [20, 2, 0], [40, 5, 0]]
    assert points_of(lines["LineStrips3D:strips"][0][0]) == pytest.approx(np.array(expected))
    assert lines["LineStrips3D:labels"][0] == ["Curb  0.93"]
    assert rgb(lines["LineStrips3D:colors"][0]) == [MAP_ELEMENT_COLOURS["Curb"]]
    view = CameraView(one.cameras[0], recorded_size_px(one.cameras[0]))
    pixels, _ = view.project(np.array(expected[1:2]))
    ends = np.concatenate(projected["LineStrips2D:strips"][0])
    assert np.abs(ends - pixels - 0.5).max(1).min() < 0.01
    assert lines["LineStrips3D:strips"][1] == projected["LineStrips2D:strips"][1] == []


def test_unsure_detections_are_recorded_apart(tmp_path):
    found = detections([car(10, 0), car(20, 0), car(30, 0)], score=[0.9, 0.1, 0.3])
    entities = record_one(tmp_path, found, cameras=(camera(),))
    assert [box[0] for box in entities[BOXES]["Boxes3D:centers"][0]] == [10, 30]
    assert [box[0] for box in entities["/world/ego/unsure"]["Boxes3D:centers"][0]] == [20]
    assert set(entities[f"{FRONT}/boxes"]["LineStrips2D:labels"][0]) == {
        "car 0  0.90",
        "car 2  0.30",
    }


def test_only_what_moves_has_an_arrow_as_long_as_the_way_of_a_second(tmp_path):
    velocity = [[5.0, 1.0, 0.0], [0.05, 0.0, 0.0]]
    entities = record_one(tmp_path, detections([car(10, 0), car(20, 0)], velocity_mps=velocity))
    arrows = entities[f"{BOXES}/velocity"]
    assert arrows["Arrows3D:vectors"][0] == [pytest.approx(velocity[0])]
    assert arrows["Arrows3D:origins"][0] == [pytest.approx(car(10, 0)[:3])]


def drive_at(offset_m):
    """Five frames of an ego that drives and turns; a wall, a parked car, and a map, from there."""
    wall_m = np.array([[30.0, 6.0, 1.0], [30.0, -6.0, 1.0]])
    parked_m = np.array([[20.0, 4.0, 0.8]])
    frames, found = [], []
    for i in range(5):
        global_from_ego = poses.from_xyz_yaw(np.array([1.5 * i, 0.2 * i, 0.0]), 0.3 + 0.1 * i)
        ego_from_global = poses.invert(global_from_ego)
        points = np.zeros((2, 5))
        points[:, :3] = poses.apply(ego_from_global, wall_m)
        pose = global_from_ego.copy()
        pose[:3, 3] += offset_m
        frames.append(frame(i, ego2global=pose, points=points.astype(np.float32)))
        box = [*poses.apply(ego_from_global, parked_m)[0], 4.0, 2.0, 1.6, 0.0]
        found.append(detections([box], track_id=[7]))
    return frames, found, (MapLine("solid", "lane_boundary", wall_m + offset_m),)


def in_world(entities, path, column, number):
    """Points [P, 3] that a frame has under `world/ego`, taken to `world` as a viewer does."""
    pose = entities["/world/ego"]
    columns = np.array(pose["Transform3D:mat3x3"][number][0]).reshape(3, 3)
    return (
        points_of(entities[path][column][number]) @ columns
        + pose["Transform3D:translation"][number]
    )


@pytest.mark.parametrize("offset_m", [[0.0, 0.0, 0.0], [3.1e6, -5.4e6, 440.0]])
def test_what_stands_still_stands_still_within_a_millimetre_6000_km_from_the_origin(
    tmp_path, offset_m
):
    frames, found, vector_map = drive_at(np.array(offset_m))
    entities = record(tmp_path / "a.rrd", frames, found, vector_map=vector_map)
    map_m = points_of(entities["/world/map/lane_boundary"]["LineStrips3D:strips"][0][0])
    first_m = in_world(entities, BOXES, "Boxes3D:centers", 0)
    assert first_m == pytest.approx(found[0].boxes[:, :3], abs=1e-6)  # world is the first ego frame
    assert map_m == pytest.approx(frames[0].points[:, :3], abs=1e-3)
    for number in range(5):
        wall_m = in_world(entities, "/world/ego/lidar", "Points3D:positions", number)
        parked_m = in_world(entities, BOXES, "Boxes3D:centers", number)
        assert wall_m == pytest.approx(map_m, abs=POINT_STEP_M)
        assert parked_m == pytest.approx(first_m, abs=1e-3)


def test_a_track_leaves_a_trail_where_it_was_in_the_world(tmp_path):
    frames, found, _ = drive_at(np.array([3.1e6, -5.4e6, 440.0]))
    entities = record(tmp_path / "a.rrd", frames, found)
    trails = entities["/world/tracks"]["LineStrips3D:strips"]
    assert [len(row) for row in trails] == [0, 1, 1, 1, 1]
    last = points_of(trails[-1][0])
    assert last == pytest.approx(np.tile(found[0].boxes[0, :3], (5, 1)), abs=1e-3)


def test_lidar_is_where_it_was_measured_and_brighter_the_higher(tmp_path):
    points = np.zeros((2, 5), np.float32)
    points[:, :3] = [[10.003, -2.001, -1.0], [33.337, 4.0, 3.0]]
    row = record_one(tmp_path, points=points)["/world/ego/lidar"]
    positions = points_of(row["Points3D:positions"][0])
    assert np.abs(positions - points[:, :3]).max() <= POINT_STEP_M / 2 + 1e-6
    low, high = rgb(row["Points3D:colors"][0])
    assert sum(low) < sum(high)


def test_failed_sensors_are_empty_and_named(tmp_path):
    working = {"cameras": (camera(),), "points": np.ones((3, 5), np.float32)}
    failed = {"cameras": (camera(image=None),), "points": None, "faults": ("front: black",)}
    frames = [frame(0, **working), frame(1, **failed)]
    found = [detections([car(12, 0)])] * 2
    entities = record(tmp_path / "a.rrd", frames, found)
    assert [len(row) for row in entities["/world/ego/lidar"]["Points3D:positions"]] == [3, 0]
    edges = entities[f"{FRONT}/boxes"]["LineStrips2D:strips"]
    assert len(edges[0]) == 12
    assert not edges[1]
    images = entities[f"{FRONT}/image"]["EncodedImage:blob"]
    assert images[0] != images[1]
    assert entities["/faults"]["TextLog:text"] == [["front: black"]]
    assert entities["/faults"]["frame"] == [1]


def test_the_image_and_the_boxes_in_it_are_what_the_camera_sees(tmp_path):
    bent = np.array([-0.2, 0.05, 0.0, 0.0, 0.0])
    image = np.full((120, 240, 3), 90, np.uint8)
    image[:, :120] = (200, 60, 30)
    lens = camera(image=image, distortion=bent)
    box = np.array([car(9, 1)])
    entities = record_one(tmp_path, detections(box), cameras=(lens,))
    jpeg = bytes(entities[f"{FRONT}/image"]["EncodedImage:blob"][0][0])
    picture = np.asarray(Image.open(BytesIO(jpeg))).astype(int)
    assert np.abs(picture - image).mean() < 3
    ends = {
        tuple(edge[k])
        for edge in entities[f"{FRONT}/boxes"]["LineStrips2D:strips"][0]
        for k in (0, -1)
    }
    corners = poses.apply(poses.invert(lens.ego_from_camera), box_geometry.corners(box)[0])
    pixels, _ = camera_geometry.project(corners, lens.intrinsics, bent)
    found = np.array(sorted(ends))
    for pixel in pixels + 0.5:  # rerun's first pixel ends at 1, and its centre is 0.5
        assert np.linalg.norm(found - pixel, axis=1).min() < 0.01


def test_edges_bend_as_the_lens_bends_them(tmp_path):
    bent = camera(distortion=np.array([-0.3, 0.1, 0.0, 0.0, 0.0]))
    wide = detections([[6.0, 0.0, 1.0, 1.0, 9.0, 2.0, 0.0]])
    points = {
        lens: sum(
            map(
                len,
                record_one(tmp_path, wide, cameras=(each,))[f"{FRONT}/boxes"][
                    "LineStrips2D:strips"
                ][0],
            )
        )
        for lens, each in (("bent", bent), ("straight", camera()))
    }
    assert points["bent"] > points["straight"]


def test_a_wide_image_is_reduced_and_everything_in_it(tmp_path):
    intrinsics = np.array([[1200.0, 0, 1199.5], [0, 1200.0, 599.5], [0, 0, 1]])
    wide = camera(
        image=np.full((1200, 2400, 3), 90, np.uint8), size_px=(1200, 2400), intrinsics=intrinsics
    )
    box = detections([car(12, 0)])
    large = record_one(tmp_path, box, cameras=(wide,))
    small = record_one(tmp_path, box, cameras=(camera(),))  # the same view, 240 pixels wide
    jpeg = bytes(large[f"{FRONT}/image"]["EncodedImage:blob"][0][0])
    assert Image.open(BytesIO(jpeg)).size == (IMAGE_WIDTH_PX, IMAGE_WIDTH_PX // 2)
    assert large[FRONT]["Pinhole:resolution"][0][0] == [IMAGE_WIDTH_PX, IMAGE_WIDTH_PX / 2]
    scale = IMAGE_WIDTH_PX / 240
    for name in ("Pinhole:image_from_camera",):
        one, other = (np.array(e[FRONT][name][0][0]) for e in (large, small))
        assert one[:8] == pytest.approx(other[:8] * scale, rel=1e-4)
    one, other = (
        np.array(e[f"{FRONT}/boxes"]["LineStrips2D:strips"][0][0][0]) for e in (large, small)
    )
    assert one == pytest.approx(other * scale, abs=0.1)


def test_gt_is_grey_and_absent_where_there_are_no_labels(tmp_path):
    labels = gt([car(12, 0), car(20, 3)], occlusion_level=[0, 3])
    frames = [frame(0, labels=labels, cameras=(camera(),)), frame(1, cameras=(camera(),))]
    entities = record(tmp_path / "a.rrd", frames, [detections([])] * 2)
    rows = entities["/world/ego/ground_truth"]
    assert [len(row) for row in rows["Boxes3D:centers"]] == [2, 0]
    seen, hidden = rgb(rows["Boxes3D:colors"][0])
    assert max(seen) - min(seen) < 15
    assert sum(hidden) < sum(seen)
    assert [
        len(row or ()) > 0 for row in entities[f"{FRONT}/ground_truth"]["LineStrips2D:strips"]
    ] == [
        True,
        False,
    ]


def test_memory_slots_fade_with_age(tmp_path):
    memory = memory_of([[5.0, 1, 0], [8, 2, 0]], [[3.0, 0, 0], [0, 0, 0]], age=[1, 3])
    entities = record_one(tmp_path, memory=memory)
    slots = entities["/world/ego/memory"]
    assert points_of(slots["Points3D:positions"][0]) == pytest.approx(memory.position_m)
    new, old = rgb(slots["Points3D:colors"][0])
    assert new == CLASS_COLOURS[0]
    assert sum(old) < sum(new)
    assert slots["age_frames"][0] == [1, 3]
    assert len(entities["/world/ego/memory/velocity"]["Arrows3D:vectors"][0]) == 1
    assert entities["/figures/memory/slots"]["Scalars:scalars"] == [[2.0]]


def test_counts_and_mean_confidence_are_plotted(tmp_path):
    boxes = [car(10, 0), car(20, 0), car(30, 0), car(40, 0)]
    found = detections(boxes, class_id=[0, 1, 3, 0], score=[0.9, 0.5, 0.4, 0.1])
    entities = record_one(tmp_path, found, labels=gt([car(10, 0)]))
    metrics = {
        path.removeprefix("/figures/"): rows["Scalars:scalars"][0][0]
        for path, rows in entities.items()
        if "Scalars:scalars" in rows
    }
    expected = {
        "objects/detections": 3,
        "objects/ground_truth": 1,
        "confidence/MOD": 0.7,
        "confidence/VRU": 0.4,
    }
    assert metrics == pytest.approx(expected)


def test_every_layer_of_the_map_is_there_for_all_time(tmp_path):
    line = np.zeros((3, 3))
    lines = tuple(
        MapLine("kind", layer, line) for layer in ("crossing", "lane_boundary", "crossing")
    )
    entities = record(tmp_path / "a.rrd", [frame()], [detections([])], vector_map=lines)
    counts = {
        path: len(rows["LineStrips3D:strips"][0])
        for path, rows in entities.items()
        if path.startswith("/world/map/")
    }
    assert counts == {"/world/map/crossing": 2, "/world/map/lane_boundary": 1}
    assert "frame" not in entities["/world/map/crossing"]


def test_the_viewer_is_told_to_show_the_scene_every_camera_and_plots(tmp_path):
    names = [*RIG, "my camera"]
    cameras = tuple(replace(camera(name, RIG.get(name, 0.0))) for name in names)
    record_one(tmp_path, cameras=cameras)
    shown = {
        rows["ViewBlueprint:display_name"][0][0]: rows["ViewBlueprint:space_origin"][0][0]
        for rows in blueprint_of(tmp_path / "a.rrd").values()
        if "ViewBlueprint:display_name" in rows
    }
    assert {"Scene", "From above", "Objects", "Mean confidence", "Memory", "Faults", *names} == set(
        shown
    )
    assert shown["Scene"] == "world/ego"
    paths = recorded(tmp_path / "a.rrd")
    assert all(f"/{shown[name].removeprefix('/')}" in paths for name in names)


def test_no_frame_no_harm(tmp_path):
    with SequenceRecording(tmp_path / "a.rrd", None, confident=0.3):
        pass
    assert "/world/ego" not in recorded(tmp_path / "a.rrd")

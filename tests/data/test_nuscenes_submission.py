"""Submissions to nuScenes, read back and held against the truth they were made of."""

import json
from dataclasses import replace

import numpy as np
import pytest

from leapai import cli
from leapai.config import explain
from leapai.data.log import open_logs
from leapai.data.nuscenes.nuscenes_annotations import CLASS_OF
from leapai.data.nuscenes.nuscenes_classes import COUNTERPARTS
from leapai.data.nuscenes.nuscenes_submission import detection_rows, tracking_rows
from leapai.data.submissions import check_submission, write_submission
from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.types import CLASS_NAMES, Detections
from leapai_world.export_nuscenes import CATEGORY_OF, export_nuscenes
from tests.pictures.made_up import FAR_AWAY, detections
from tests.scenes import small_config

SIZE_PX = (64, 96)
CATEGORIES_OF = {
    "car": ("vehicle.car",),
    "truck": ("vehicle.truck",),
    "bus": ("vehicle.bus.bendy", "vehicle.bus.rigid"),
    "pedestrian": ("human.pedestrian.adult", "human.pedestrian.child"),
    "bicycle": ("vehicle.bicycle",),
    "barrier": ("movable_object.barrier",),
}
"""What the devkit counts for each detection name (`eval/detection/utils.py`), as far as we use
them."""
TILTED = poses.from_quaternion(np.array([0.9, 0.05, -0.03, 0.4]), np.array([6e5, 5e6, 300.0]))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("exchange") / "nuscenes"
    drives = open_logs(
        "synthetic:seed=3,frames=3,rate_hz=2,rig=six,place=street", image_size_px=SIZE_PX
    )
    export_nuscenes(drives, root)
    return root


@pytest.fixture(scope="module")
def world(root):
    return open_logs(f"nuscenes:{root}", image_size_px=SIZE_PX)


def said_of(frame):
    """The truth of a frame as detections."""
    count = len(frame.labels)
    return replace(
        Detections.from_labels(frame),
        score=np.linspace(0.2, 0.9, count),
        occlusion_level=np.zeros(count, np.int64),
    )


def read(path):
    content = json.loads(path.read_text())
    assert set(content) == {"meta", "results"}
    return content


def test_boxes_come_back_from_the_submission_as_they_were(world, tmp_path):
    (log,) = world
    frames = [log.ground_truth(i) for i in range(len(log))]
    detected, tracked = write_submission("nuscenes", map(said_of, frames), world, tmp_path)
    for frame, token in zip(frames, log.sample_tokens, strict=True):
        said = said_of(frame)
        said = said.select(np.argsort(-said.score))
        for path, task, kept in (
            (detected, "detection", said.class_name != "pillar"),
            (tracked, "tracking", ~np.isin(said.class_name, ["pillar", "barrier"])),
        ):
            rows = read(path)["results"][token]
            expected = said.select(kept)
            assert {row["sample_token"] for row in rows} == {token}
            np.testing.assert_array_equal([r[f"{task}_score"] for r in rows], expected.score)
            names = [getattr(COUNTERPARTS[name], task) for name in expected.class_name]
            assert [row[f"{task}_name"] for row in rows] == names
            np.testing.assert_allclose(ego_boxes(rows, frame), expected.boxes, atol=1e-6)
            velocity = poses.rotate(frame.ego2global, expected.velocity_mps)[:, :2]
            np.testing.assert_allclose([r["velocity"] for r in rows], velocity, atol=1e-9)


def ego_boxes(rows, frame):
    """Boxes [N, 7] of entries, in the ego frame: what our reader would make of them."""
    pose = poses.from_quaternion(
        np.array([row["rotation"] for row in rows]), np.array([r["translation"] for r in rows])
    )
    ego_from_box = poses.invert(frame.ego2global) @ pose
    size = np.array([row["size"] for row in rows])[:, [1, 0, 2]]
    return np.column_stack([ego_from_box[:, :3, 3], size, poses.yaw_of(ego_from_box)])


def test_every_sample_is_there_also_one_that_was_not_streamed(world, tmp_path):
    (log,) = world
    paths = write_submission("nuscenes", [said_of(log.ground_truth(0))], world, tmp_path)
    for path in paths:
        results = read(path)["results"]
        assert list(results) == log.sample_tokens
        assert results[log.sample_tokens[0]]
        assert not any(results[token] for token in log.sample_tokens[1:])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths)


@pytest.mark.parametrize("use_lidar", [True, False])
def test_it_says_which_sensors_were_used(world, tmp_path, use_lidar):
    paths = write_submission("nuscenes", [], world, tmp_path, use_lidar=use_lidar)
    for path in paths:
        meta = read(path)["meta"]
        assert meta.pop("use_camera") is True
        assert meta.pop("use_lidar") is use_lidar
        assert meta == {"use_radar": False, "use_map": False, "use_external": False}


def test_a_tilted_vehicle_tilts_its_boxes():
    car = np.array([[10.0, 3.0, 0.8, 4.0, 2.0, 1.6, 0.7]])
    said = replace(detections(car), ego2global=TILTED)
    (row,) = detection_rows(said, "s")
    global_from_box = poses.from_quaternion(np.array(row["rotation"]), np.array(row["translation"]))
    corners = poses.apply(TILTED, box_geometry.corners(car)[0])
    straight = box_geometry.corners(np.array([[0, 0, 0, 4.0, 2.0, 1.6, 0]]))[0]
    np.testing.assert_allclose(poses.apply(global_from_box, straight), corners, atol=1e-6)


def test_only_what_has_an_identity_is_tracked():
    said = replace(
        detections(np.ones((3, 7)), class_id=[0, 3, 0], track_id=[7, -1, 1_000_002]),
        ego2global=FAR_AWAY,
    )
    assert [row["tracking_id"] for row in tracking_rows(said, "s")] == ["7", "1000002"]
    assert len(detection_rows(said, "s")) == 3


def test_of_too_many_boxes_the_most_confident_are_kept():
    count = 600
    score = np.random.default_rng(0).permutation(count) / count
    said = detections(np.ones((count, 7)), score=score)
    for rows, name in ((detection_rows, "detection_score"), (tracking_rows, "tracking_score")):
        scores = [row[name] for row in rows(said, "s")]
        assert scores == np.sort(score)[::-1][:500].tolist()


def test_nothing_said_is_an_empty_list():
    nothing = detections(np.zeros((0, 7)))
    assert detection_rows(nothing, "s") == tracking_rows(nothing, "s") == []


def test_ridden_and_parked_bicycles_have_their_attribute():
    classes = [CLASS_NAMES.index(name) for name in ("non_motor", "riderless_non_motor", "car")]
    rows = detection_rows(detections(np.ones((3, 7)), class_id=classes), "s")
    assert [row["attribute_name"] for row in rows] == [
        "cycle.with_rider",
        "cycle.without_rider",
        "vehicle.parked",
    ]


def test_the_names_written_are_read_as_the_same_classes():
    assert set(COUNTERPARTS) == set(CLASS_NAMES)
    for name, counterpart in COUNTERPARTS.items():
        for category in CATEGORIES_OF.get(counterpart.detection, ()):
            read_as = CLASS_OF[category]
            assert read_as == ("non_motor" if name == "riderless_non_motor" else name)
        if counterpart.detection:
            assert CATEGORY_OF[name] in CATEGORIES_OF[counterpart.detection]
        assert counterpart.tracking in ("", counterpart.detection)


def test_data_without_sample_tokens_is_refused(tmp_path):
    drives = open_logs("synthetic:frames=1", image_size_px=SIZE_PX)
    for act in (check_submission, lambda f, logs: write_submission(f, [], logs, tmp_path)):
        with pytest.raises(ValueError, match=r"synthetic-\d+ is no nuScenes scene.*world export"):
            act("nuscenes", drives)
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_no_half_file(world, tmp_path):
    said = said_of(world[0].ground_truth(0))
    broken = replace(said, class_id=np.full(len(said), 99))
    with pytest.raises(IndexError):
        write_submission("nuscenes", [broken], world, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small(tmp_path):
    """A configuration file of the smallest network."""
    path = tmp_path / "small.py"
    path.write_text(explain(small_config()))
    return str(path)


def test_val_writes_both_submissions_when_asked(root, world, small, tmp_path, capsys):
    output = tmp_path / "run"
    options = ["--task-config", small, "--random-weights", "--output", str(output)]
    data = ["--data", f"nuscenes:{root}", "--max-frames", "2"]
    assert cli.main(["val", *options, *data, "--format", "nuscenes"]) == 0
    said = capsys.readouterr().out.replace("\n", "")
    for name in ("results_nusc.json", "tracking_results_nusc.json"):
        assert str(output / name) in said
        results = read(output / name)["results"]
        assert [bool(results[token]) for token in world[0].sample_tokens] == [True, True, False]


def test_val_refuses_a_format_that_does_not_fit_before_it_streams(small, tmp_path, capsys):
    output = tmp_path / "run"
    options = ["--task-config", small, "--random-weights", "--output", str(output)]
    assert cli.main(["val", *options, "--data", "synthetic:frames=1", "--format", "nuscenes"]) == 2
    assert "is no nuScenes scene" in capsys.readouterr().err
    assert not output.exists()

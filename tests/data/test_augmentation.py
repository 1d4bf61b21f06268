"""Augmentation changes what is seen and from where, never how things relate to each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from leapai.config import AugmentationConfig
from leapai.config.training import ImageAugmentationConfig
from leapai.data.augmentation import (
    Augmentation,
    apply,
    change_ego,
    draw_augmentation,
    scale_world,
    scaled_map,
)
from leapai.data.image_augmentation import changed_images
from leapai.data.log import open_logs
from leapai.data.pixel_labels import with_pixel_labels
from leapai.data.static_labels import rasterise
from leapai.geometry import angles, boxes, cameras, poses
from leapai.types import BevGrid, Frame, Labels
from tests.scenes import RIG, ROAD_MAP, make_frame

NAMES = tuple(name for name, *_ in RIG)
NOTHING = AugmentationConfig(
    rotation_deg=0, mirror_probability=0, photometric=0, calibration_deg=0, calibration_m=0,
    lidar_dropout=0, cameras_dropout=0, camera_dropout=0,
)  # fmt: skip
MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])
TURN = poses.from_xyz_yaw(np.zeros(3), 0.35)
CHANGES = {"turned": TURN, "mirrored": MIRROR, "both": TURN @ MIRROR}


def draw(seed: int = 0, **changes: Any) -> Augmentation:
    config = NOTHING.model_copy(update=changes)
    return draw_augmentation(config, np.random.default_rng(seed), NAMES)


@pytest.fixture(scope="module")
def synthetic_frame() -> Frame:
    (log,) = open_logs("synthetic:seed=5,frames=1,drives=1", image_size_px=(32, 48))
    return log[0]


def labelled_frame(index: int = 0) -> Frame:
    """Two cars and a person, who move evenly in the world, seen from the ego of `make_frame`."""
    frame = make_frame(index)
    world = np.array(
        [[14.0, 3, 0.8, 4.5, 1.9, 1.6, 0.4], [-9.0, -6, 0.8, 4, 1.8, 1.5, 2.8],
         [6.0, -2, 0.9, 0.6, 0.7, 1.8, -1.2]]
    )  # fmt: skip
    speed = np.array([9.0, 4.0, 1.5])
    velocity = np.stack([speed * np.cos(world[:, 6]), speed * np.sin(world[:, 6]), 0 * speed], -1)
    world[:, :3] += velocity * index * 0.1
    ego_from_global = poses.invert(frame.ego2global)
    labels = Labels.unlabelled(boxes.transform(world, ego_from_global), np.array([0, 0, 3]))
    labels = replace(
        labels,
        velocity_mps=poses.rotate(ego_from_global, velocity),
        velocity_valid=np.ones(3, bool),
        acceleration_mps2=poses.rotate(ego_from_global, velocity / 5),
    )
    return replace(frame, labels=labels)


def corner_pixels(frame: Frame) -> list[np.ndarray]:
    """Pixels of the corners of every box in every camera, each box's in an order of their own."""
    pixels = []
    for camera in frame.cameras:
        for corners in boxes.corners(frame.labels.boxes):
            in_camera = poses.apply(poses.invert(camera.ego_from_camera), corners)
            seen, _ = cameras.project(in_camera, camera.intrinsics, camera.distortion)
            pixels.append(seen[np.lexsort(np.round(seen, 3).T)])
    return pixels


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_labels_stay_where_they_are_in_the_images(change):
    frame = labelled_frame()
    before, after = corner_pixels(frame), corner_pixels(change_ego(frame, change))
    assert sum(np.isfinite(p).all() for p in before) >= 3
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_points_stay_in_their_boxes_and_in_the_images(change, synthetic_frame):
    frame = synthetic_frame
    after = change_ego(frame, change)
    before_inside = boxes.points_inside(frame.points[:, :3], frame.labels.boxes)
    inside = boxes.points_inside(after.points[:, :3], after.labels.boxes)
    assert before_inside.sum() > 50
    # Points are float32: one in ten thousand may lie on a face.
    assert (inside != before_inside).sum() <= 1e-4 * len(frame.points)
    np.testing.assert_array_equal(after.points[:, 3:], frame.points[:, 3:])
    assert after.points.dtype == np.float32
    for camera, moved in zip(frame.cameras, after.cameras, strict=True):
        pixels = [
            cameras.project(
                poses.apply(poses.invert(c.ego_from_camera), f.points[:, :3].astype(float)),
                c.intrinsics, c.distortion,
            )[0]
            for c, f in ((camera, frame), (moved, after))
        ]  # fmt: skip
        inside = (np.abs(pixels[0] - [24, 16]) < [24, 16]).all(1)
        assert inside.any()
        np.testing.assert_allclose(pixels[1][inside], pixels[0][inside], atol=0.01)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_velocity_leads_to_the_next_frames_gt(change):
    now, then = (change_ego(labelled_frame(i), change) for i in (2, 7))
    moved = now.labels.boxes.copy()
    moved[:, :3] += now.labels.velocity_mps * 0.5
    then_from_now = poses.invert(then.ego2global) @ now.ego2global
    expected = boxes.transform(moved, then_from_now)
    np.testing.assert_allclose(then.labels.boxes[:, :6], expected[:, :6], atol=1e-9)
    turned = angles.wrap(then.labels.boxes[:, 6] - expected[:, 6])
    np.testing.assert_allclose(turned, 0, atol=1e-9)


def test_a_mirror_swaps_left_and_right():
    frame = labelled_frame()
    before, after = frame.labels, change_ego(frame, MIRROR).labels
    np.testing.assert_allclose(after.boxes, before.boxes * [1, -1, 1, 1, 1, 1, -1], atol=1e-12)
    np.testing.assert_allclose(after.velocity_mps, before.velocity_mps * [1, -1, 1])
    np.testing.assert_allclose(after.acceleration_mps2, before.acceleration_mps2 * [1, -1, 1])


def test_the_frame_given_is_not_changed():
    frame = labelled_frame()
    kept = (frame.points.copy(), frame.labels.boxes.copy(), frame.cameras[0].image.copy())
    apply(frame, draw(rotation_deg=20, mirror_probability=1, photometric=0.5, calibration_m=1))
    for array, copy in zip(
        (frame.points, frame.labels.boxes, frame.cameras[0].image), kept, strict=True
    ):
        np.testing.assert_array_equal(array, copy)


def test_with_everything_off_nothing_changes():
    frame = labelled_frame()
    after = apply(frame, draw())
    np.testing.assert_allclose(after.labels.boxes, frame.labels.boxes, atol=1e-12)
    np.testing.assert_array_equal(after.points, frame.points)
    np.testing.assert_allclose(after.ego2global, frame.ego2global)
    assert after.faults == ()
    for one, other in zip(after.cameras, frame.cameras, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_allclose(one.ego_from_camera, other.ego_from_camera)


def test_turns_cover_the_range_and_mirrors_come_as_often_as_asked():
    draws = [draw(i, rotation_deg=22.5, mirror_probability=0.25) for i in range(400)]
    mirrored = [np.linalg.det(d.new_from_ego[:3, :3]) < 0 for d in draws]
    assert np.mean(mirrored) == pytest.approx(0.25, abs=0.07)
    turns = np.rad2deg([poses.yaw_of(d.new_from_ego) for d in draws])
    assert -22.5 <= turns.min() < -20
    assert 20 < turns.max() <= 22.5


def test_calibration_is_told_wrong_by_as_much_as_asked_while_gt_stays():
    frame = labelled_frame()
    turns, shifts = [], []
    for seed in range(60):
        after = apply(frame, draw(seed, calibration_deg=0.3, calibration_m=0.02))
        np.testing.assert_allclose(after.labels.boxes, frame.labels.boxes, atol=1e-12)
        for one, other in zip(frame.cameras, after.cameras, strict=True):
            error = poses.invert(one.ego_from_camera) @ other.ego_from_camera
            turns.append(np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1)))
            shifts.append(error[:3, 3])
    assert np.rad2deg(np.sqrt(np.mean(np.square(turns)) / 3)) == pytest.approx(0.3, rel=0.1)
    assert np.std(shifts) == pytest.approx(0.02, rel=0.1)


def test_colours_change_as_one_affine_map_a_camera():
    frame = labelled_frame()
    augmentation = draw(photometric=0.4)
    after = apply(frame, augmentation)
    for camera, changed, colour in zip(
        frame.cameras, after.cameras, augmentation.colour, strict=True
    ):
        for row, column in ((0, 0), (13, 57)):
            pixel = camera.image[row, column].astype(float)
            expected = np.clip(np.round(colour @ [*pixel, 1.0]), 0, 255)
            np.testing.assert_allclose(changed.image[row, column], expected, atol=1)
    assert changed.image.dtype == np.uint8
    means = [np.mean(apply(frame, draw(i, photometric=0.4)).cameras[0].image) for i in range(40)]
    assert 10 < np.std(means) < 60
    grey = replace(frame.cameras[0], image=np.full((64, 96, 3), 128, np.uint8))
    tinted = apply(replace(frame, cameras=(grey, *frame.cameras[1:])), augmentation)
    assert np.ptp(tinted.cameras[0].image[0, 0].astype(int)) > 0


def test_sensors_are_lost_as_often_as_asked_and_named():
    frame = labelled_frame()
    frames = [
        apply(frame, draw(i, lidar_dropout=0.2, cameras_dropout=0.3, camera_dropout=0.1))
        for i in range(600)
    ]
    blind = np.array([all(c.image is None for c in f.cameras) for f in frames])
    deaf = np.array([f.points is None for f in frames])
    assert np.mean(blind) == pytest.approx(0.3, abs=0.06)
    assert np.mean(deaf) == pytest.approx(0.2, abs=0.05)
    assert not (blind & deaf).any()
    seeing = [f for f, is_blind in zip(frames, blind, strict=True) if not is_blind]
    lost = [c.image is None for f in seeing for c in f.cameras]
    assert np.mean(lost) == pytest.approx(0.1, abs=0.02)
    for f in frames[:50]:
        faults = {fault.split(":")[0] for fault in f.faults}
        expected = {c.name for c in f.cameras if c.image is None}
        assert faults == expected | ({"LiDAR"} if f.points is None else set())


def test_the_last_working_sensor_is_never_taken():
    frame = labelled_frame()
    deaf = replace(frame, points=None)
    blind = replace(frame, cameras=tuple(replace(c, image=None) for c in frame.cameras))
    one_eye = replace(deaf, cameras=(frame.cameras[0], *blind.cameras[1:]))
    for seed in range(50):
        everything = draw(seed, lidar_dropout=0.5, cameras_dropout=0.5, camera_dropout=0.5)
        assert any(c.image is not None for c in apply(deaf, everything).cameras)
        assert any(c.image is not None for c in apply(one_eye, everything).cameras)
        assert apply(blind, everything).points is not None


def test_the_same_generator_draws_the_same():
    options = {"rotation_deg": 9, "photometric": 0.2, "calibration_m": 0.1, "camera_dropout": 0.5}
    one, same, other = (draw(seed, **options) for seed in (4, 4, 5))
    for name in ("new_from_ego", "calibration_error", "colour"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert (getattr(one, name) != getattr(other, name)).any()
    assert one.lost_cameras == same.lost_cameras


def test_frames_without_labels_points_or_cameras_pass():
    frame = replace(make_frame(0), points=None, cameras=())
    augmentation = draw_augmentation(AugmentationConfig(), np.random.default_rng(0), ())
    after = apply(frame, augmentation)
    assert after.labels is None
    assert after.points is None
    assert after.cameras == ()


SCALES = pytest.mark.parametrize("scale", [0.9, 1.1])


@SCALES
def test_a_larger_world_looks_the_same_in_every_image(scale):
    frame = labelled_frame()
    after = scale_world(frame, scale)
    for one, other in zip(corner_pixels(frame), corner_pixels(after), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for camera, moved in zip(frame.cameras, after.cameras, strict=True):
        assert moved.image is camera.image
        np.testing.assert_array_equal(moved.intrinsics, camera.intrinsics)
        np.testing.assert_allclose(
            moved.ego_from_camera[:3, 3], scale * camera.ego_from_camera[:3, 3]
        )


@SCALES
def test_points_grow_with_their_boxes(scale, synthetic_frame):
    frame = synthetic_frame
    after = scale_world(frame, scale)
    np.testing.assert_allclose(after.points[:, :3], frame.points[:, :3] * scale, rtol=1e-6)
    np.testing.assert_array_equal(after.points[:, 3:], frame.points[:, 3:])
    assert after.points.dtype == np.float32
    np.testing.assert_allclose(after.labels.boxes[:, :6], frame.labels.boxes[:, :6] * scale)
    np.testing.assert_array_equal(after.labels.boxes[:, 6], frame.labels.boxes[:, 6])
    before_inside = boxes.points_inside(frame.points[:, :3], frame.labels.boxes)
    inside = boxes.points_inside(after.points[:, :3], after.labels.boxes)
    assert before_inside.sum() > 50
    assert (inside != before_inside).sum() <= 1e-4 * len(frame.points)


@SCALES
def test_a_larger_world_moves_faster_by_as_much(scale):
    now, then = (scale_world(labelled_frame(i), scale) for i in (2, 7))
    moved = now.labels.boxes.copy()
    moved[:, :3] += now.labels.velocity_mps * 0.5
    then_from_now = poses.invert(then.ego2global) @ now.ego2global
    expected = boxes.transform(moved, then_from_now)
    np.testing.assert_allclose(then.labels.boxes[:, :6], expected[:, :6], atol=1e-9)
    acceleration = labelled_frame(2).labels.acceleration_mps2
    np.testing.assert_allclose(now.labels.acceleration_mps2, scale * acceleration)


@SCALES
def test_pixels_are_farther_away_and_of_the_same_class(scale, synthetic_frame):
    labelled = with_pixel_labels(synthetic_frame)
    after = scale_world(labelled, scale)
    again = with_pixel_labels(scale_world(synthetic_frame, scale))
    for camera, moved, made in zip(labelled.cameras, after.cameras, again.cameras, strict=True):
        depth_m = moved.pixel_labels.depth_m
        np.testing.assert_allclose(depth_m, camera.pixel_labels.depth_m * scale, rtol=1e-6)
        assert depth_m.dtype == np.float32
        np.testing.assert_array_equal(moved.pixel_labels.class_id, camera.pixel_labels.class_id)
        both = np.isfinite(depth_m) & np.isfinite(made.pixel_labels.depth_m)
        np.testing.assert_allclose(depth_m[both], made.pixel_labels.depth_m[both], rtol=1e-3)
        assert both.sum() >= np.isfinite(depth_m).sum() - 1


@SCALES
def test_the_map_grows_with_the_world(scale):
    """A larger world over a larger region has the same raster."""
    frame, region = make_frame(5), BevGrid((-20.0, 20.0), (-10.0, 10.0), cell_m=0.5)
    larger = BevGrid((-20.0 * scale, 20.0 * scale), (-10 * scale, 10 * scale), cell_m=0.5 * scale)
    plain = rasterise(ROAD_MAP, frame.ego2global, region)
    grown = rasterise(scaled_map(ROAD_MAP, scale), scale_world(frame, scale).ego2global, larger)
    assert plain.planes.sum() > 100
    differing = (plain.planes != grown.planes).sum()  # widths of lines are not those of the world
    assert differing <= 0.03 * plain.planes.sum()
    wrong = rasterise(ROAD_MAP, scale_world(frame, scale).ego2global, larger)
    assert (plain.planes != wrong.planes).sum() > 10 * max(differing, 1)
    assert scaled_map(None, scale) is None


def test_scales_and_heights_cover_what_is_asked():
    scales = [draw(i, scaling=0.1).scale for i in range(300)]
    assert 0.9 <= min(scales) < 0.905
    assert 1.095 < max(scales) <= 1.1
    heights = [draw(i, height_m=0.2).new_from_ego[2, 3] for i in range(300)]
    assert np.std(heights) == pytest.approx(0.2, rel=0.15)


def test_a_higher_ground_moves_points_boxes_and_cameras_alike():
    frame = labelled_frame()
    augmentation = draw(3, height_m=0.3)
    height = augmentation.new_from_ego[2, 3]
    after = apply(frame, augmentation)
    assert abs(height) > 0.05
    np.testing.assert_allclose(after.points[:, 2], frame.points[:, 2] + height, atol=1e-5)
    np.testing.assert_allclose(after.labels.boxes[:, 2], frame.labels.boxes[:, 2] + height)
    for one, other in zip(corner_pixels(frame), corner_pixels(after), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_all_of_it_together_keeps_corners_on_their_pixels():
    frame = labelled_frame()
    augmentation = draw(
        1, rotation_deg=20, mirror_probability=1, scaling=0.1, height_m=0.1,
        images=ImageAugmentationConfig(scaling=0.2, shift=0.1, flip_probability=0.5),
    )  # fmt: skip
    expected = corner_pixels(changed_images(frame, augmentation.images))
    for one, other in zip(expected, corner_pixels(apply(frame, augmentation)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)

"""Ground that is uneven and of several materials, drawn once a clip and fixed to the world."""

from dataclasses import replace

import numpy as np
import pytest

from leapai.config.training import AugmentationConfig, GroundAugmentationConfig
from leapai.data import ground_augmentation
from leapai.data.augmentation import apply, draw_augmentation
from leapai.data.ground_augmentation import (
    GroundAugmentation,
    draw_ground_augmentation,
    with_ground,
)
from leapai.geometry import poses
from leapai.types import Frame, Labels
from tests.scenes import make_frame


def draw(seed: int = 0, **changes: float) -> GroundAugmentation:
    config = GroundAugmentationConfig(**changes)
    return draw_ground_augmentation(config, np.random.default_rng(seed))


def plane(frame: Frame, x_m: float = 0.0) -> Frame:
    """Returns the frame with flat ground of one material and two boxes, its ego at x = `x_m`."""
    x, y = np.meshgrid(np.arange(-20, 20, 0.5), np.arange(-20, 20, 0.5))
    points = np.zeros((x.size, 5), np.float32)
    points[:, 0], points[:, 1], points[:, 3] = x.ravel(), y.ravel(), 0.1
    boxes = np.array([[5.0, 2.0, 0.8, 4.0, 2.0, 1.6, 0.3], [-7.0, 9.0, 0.9, 0.6, 0.6, 1.8, 0.0]])
    return replace(
        frame,
        points=points,
        labels=Labels.unlabelled(boxes, np.array([0, 3])),
        ego2global=poses.from_xyz_yaw(np.array([x_m, 0.0, 0.0]), 0.0),
    )


def slow_height(ground: GroundAugmentation, x: float, y: float) -> float:
    steps = 0.0
    for k, height in enumerate(ground.step_m):
        across = ground.steps.direction[k] @ [x, y] / ground.steps.period_m[k]
        if (across + ground.steps.phase[k]) % 1.0 < ground.steps.share[k]:
            steps += height
    waves = 0.0
    for k, height in enumerate(ground.wave_m):
        across = ground.waves.direction[k] @ [x, y] / ground.waves.period_m[k]
        waves += height * np.sin(2 * np.pi * (across + ground.waves.phase[k]))
    return min(steps, 0.8) + waves


def test_the_defaults_change_nothing():
    frame = make_frame(0)
    assert with_ground(frame, draw()) is frame


def test_points_and_boxes_rise_by_the_ground_below_them():
    frame = plane(make_frame(0))
    for seed in range(5):
        ground = draw(seed, relief_m=0.3)
        raised = with_ground(frame, ground)
        expected = [slow_height(ground, *p[:2]) for p in frame.points.astype(float)]
        np.testing.assert_allclose(raised.points[:, 2], expected, atol=1e-5)
        np.testing.assert_array_equal(raised.points[:, [0, 1, 3, 4]], frame.points[:, [0, 1, 3, 4]])
        lifts = [slow_height(ground, *box[:2]) for box in frame.labels.boxes]
        np.testing.assert_allclose(raised.labels.boxes[:, 2] - frame.labels.boxes[:, 2], lifts)
        np.testing.assert_array_equal(
            np.delete(raised.labels.boxes, 2, 1), np.delete(frame.labels.boxes, 2, 1)
        )


def test_it_makes_kerbs_of_real_heights():
    """A step between neighbouring points of flat ground is a kerb: some clips have one of 10 cm."""
    steps = []
    for seed in range(60):
        raised = with_ground(plane(make_frame(0)), draw(seed, relief_m=0.12))
        heights = raised.points[:, 2].reshape(80, 80)
        steps.append(np.abs(np.diff(heights, axis=1)).max())
    assert 0.3 < np.mean(np.array(steps) > 0.1) < 0.95
    assert max(steps) < 0.9


def test_patches_change_the_intensity_of_the_ground_alone():
    frame = plane(make_frame(0))
    frame.points[::2, 2] = 1.5  # something above the ground
    ground = draw(1, log_gain=0.6)
    patched = with_ground(frame, ground)
    np.testing.assert_array_equal(patched.points[:, :3], frame.points[:, :3])
    np.testing.assert_array_equal(patched.points[::2, 3], frame.points[::2, 3])
    gains = np.unique(patched.points[1::2, 3] / 0.1)
    assert 2 <= len(gains) <= 8  # of three patterns, each of which is there or not
    assert patched.points[:, 3].max() <= 1


def test_what_has_no_label_becomes_darker_and_objects_keep_their_intensity():
    frame = plane(make_frame(0))
    frame.points[:, 2] = 1.2  # walls all over, and two objects among them
    patched = with_ground(frame, draw(4, background_darker=0.8))
    np.testing.assert_array_equal(patched.points[:, :3], frame.points[:, :3])
    met = 0
    for before, after in zip(frame.points.astype(float), patched.points[:, 3], strict=True):
        distances = [beyond(before[:3], box) for box in frame.labels.boxes]
        if min(distances) < 0.15:
            assert after == np.float32(0.1)
            met += 1
        elif min(distances) > 0.25:
            assert after <= np.float32(0.1)
    assert met > 20
    assert 2 <= len(np.unique(patched.points[:, 3])) <= 8  # three patterns, there or not


def test_without_labels_the_ground_changes_alone():
    """Objects would be darkened as background there, and flicker within the clip."""
    frame = replace(plane(make_frame(0)), labels=None)
    frame.points[::2, 2] = 1.2
    patched = with_ground(frame, draw(4, log_gain=0.6, background_darker=0.8))
    np.testing.assert_array_equal(patched.points[::2], frame.points[::2])
    assert (patched.points[1::2, 3] != frame.points[1::2, 3]).any()


def test_objects_are_looked_for_only_where_the_background_changes(monkeypatch):
    """That takes most of the time of a frame."""
    frame = plane(make_frame(0))
    frame.points[::2, 2] = 1.2
    monkeypatch.setattr(ground_augmentation, "points_inside", lambda *_: pytest.fail("looked"))
    patched = with_ground(frame, draw(1, relief_m=0.3, log_gain=0.6))
    np.testing.assert_array_equal(patched.points[::2, 3], frame.points[::2, 3])


def beyond(point: np.ndarray, box: np.ndarray) -> float:
    """Returns how far a point lies beyond the sides of a box, along the axis where it is most."""
    cos, sin = np.cos(box[6]), np.sin(box[6])
    x, y, z = point - box[:3]
    along = np.abs([x * cos + y * sin, y * cos - x * sin, z]) - box[3:6] / 2
    return float(along.max())


def test_walls_of_the_world_become_as_dark_as_real_ones():
    """Real walls and plants have 1.0 to 2.3 times the intensity of the ground, those of the world
    4.2 times: the draws must reach from one to the other."""
    frame = plane(make_frame(0))
    frame = replace(frame, labels=frame.labels.select(np.zeros(2, bool)))
    frame.points[:, 2] = 1.2
    gains = [
        np.median(with_ground(frame, draw(seed, background_darker=0.8)).points[:, 3]) / 0.1
        for seed in range(60)
    ]
    assert np.quantile(gains, 0.1) < 1.0 / 4.2
    assert np.quantile(gains, 0.9) > 0.9


def test_the_ground_stands_still_while_the_ego_moves():
    """A stone that is 3 m farther back from an ego that drove 3 m has the same height."""
    ground = draw(2, relief_m=0.3, log_gain=0.5)
    now, then = plane(make_frame(0)), plane(make_frame(0), x_m=3.0)
    now, then = with_ground(now, ground), with_ground(then, ground)
    of_now = {(p[0], p[1]): p[2:4] for p in np.round(now.points.astype(float), 4)}
    met = 0
    for x, y, height, intensity, _ in np.round(then.points.astype(float), 4):
        if (x + 3.0, y) in of_now:
            np.testing.assert_allclose(of_now[x + 3.0, y], [height, intensity], atol=2e-4)
            met += 1
    assert met > 5000


def test_training_draws_it_by_configuration():
    frame = plane(make_frame(0))
    config = AugmentationConfig(
        rotation_deg=0, mirror_probability=0, ground=GroundAugmentationConfig(relief_m=0.2)
    )
    drawn = draw_augmentation(
        config, np.random.default_rng(3), [camera.name for camera in frame.cameras]
    )
    assert np.ptp(apply(frame, drawn).points[:, 2]) > 0.05
    lost = replace(drawn, lidar_lost=True)
    assert apply(frame, lost).points is None
    with pytest.raises(ValueError, match="relief_m"):
        GroundAugmentationConfig(relief_m=-1.0)

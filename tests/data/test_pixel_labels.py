"""Labels of pixels against a loop over points, and through every augmentation."""

from dataclasses import replace

import numpy as np
import pytest

from leapai.config import AugmentationConfig
from leapai.data.augmentation import apply, change_ego, draw_augmentation
from leapai.data.perturbation import without_cameras, without_lidar
from leapai.data.pixel_labels import with_pixel_labels
from leapai.data.transforms import collate, prepare_camera
from leapai.geometry import boxes, cameras, poses
from leapai.types import Frame, Labels
from tests.scenes import make_frame

CAR, PERSON, NONE = 0, 3, -1


def labelled_frame() -> Frame:
    frame = make_frame(0)
    rng = np.random.default_rng(5)
    placed = np.array([[12.0, 2, 0.8, 4.5, 1.9, 1.6, 0.4], [6.0, -2, 0.9, 0.8, 0.7, 1.8, -1.2]])
    inside = [box[:3] + rng.uniform(-0.3, 0.3, (40, 3)) * box[[5, 5, 5]] / 2 for box in placed]
    added = np.column_stack([np.concatenate(inside), np.full((80, 2), 0.1)]).astype(np.float32)
    labels = Labels.unlabelled(placed, np.array([CAR, PERSON]))
    return replace(frame, points=np.concatenate([frame.points, added]), labels=labels)


def slow_labels(frame: Frame, camera_index: int) -> dict[tuple[int, int], tuple[float, int]]:
    """Depth and class of each cell (row, column) that a point hits: the nearest point's."""
    camera, found = frame.cameras[camera_index], {}
    for point in frame.points[:, :3].astype(np.float64):
        local = poses.apply(poses.invert(camera.ego_from_camera), point[None])
        pixel, depth = cameras.project(local, camera.intrinsics, camera.distortion)
        if not np.isfinite(pixel).all():
            continue
        column, row = np.floor(pixel[0] / 8).astype(int)
        if not (0 <= column < camera.size_px[1] // 8 and 0 <= row < camera.size_px[0] // 8):
            continue
        inside = boxes.points_inside(point[None], frame.labels.boxes)[:, 0]
        class_id = int(frame.labels.class_id[np.flatnonzero(inside)[-1]]) if inside.any() else NONE
        if float(depth[0]) < found.get((row, column), (np.inf, 0))[0]:
            found[row, column] = (float(depth[0]), class_id)
    return found


def assert_as_the_loop_says(frame: Frame, source: Frame) -> None:
    """The labels of `frame` are what the points and calibration of `source` give."""
    for index, camera in enumerate(frame.cameras):
        depth, class_id = camera.pixel_labels.depth_m, camera.pixel_labels.class_id
        expected = slow_labels(source, index)
        cells = {(int(r), int(c)) for r, c in zip(*np.nonzero(np.isfinite(depth)), strict=True)}
        assert cells == set(expected)
        for cell, (depth_m, expected_class) in expected.items():
            assert depth[cell] == pytest.approx(depth_m, rel=1e-4)
            assert class_id[cell] == expected_class
        assert (class_id[~np.isfinite(depth)] == NONE).all()


def test_labels_are_those_of_the_nearest_point_of_a_cell():
    frame = with_pixel_labels(labelled_frame())
    assert_as_the_loop_says(frame, frame)
    classes = {int(c) for camera in frame.cameras for c in camera.pixel_labels.class_id.flat}
    assert classes == {CAR, PERSON, NONE}


@pytest.mark.parametrize(
    "change", [poses.from_xyz_yaw(np.zeros(3), 0.35), np.diag([1.0, -1.0, 1.0, 1.0])]
)
def test_turned_and_mirrored_frames_keep_their_labels(change):
    """The labels were made before the ego frame turned, and the turned frame gives the same."""
    moved = change_ego(with_pixel_labels(labelled_frame()), change)
    again = with_pixel_labels(moved)
    for one, other in zip(moved.cameras, again.cameras, strict=True):
        both = np.isfinite(one.pixel_labels.depth_m) & np.isfinite(other.pixel_labels.depth_m)
        # Points are float32: one may fall into the next cell.
        assert both.sum() >= np.isfinite(one.pixel_labels.depth_m).sum() - 1
        np.testing.assert_allclose(
            one.pixel_labels.depth_m[both], other.pixel_labels.depth_m[both], rtol=1e-3
        )
        np.testing.assert_array_equal(
            one.pixel_labels.class_id[both], other.pixel_labels.class_id[both]
        )


def test_a_resized_image_has_labels_of_its_own_cells():
    frame = labelled_frame()
    prepared = replace(frame, cameras=tuple(prepare_camera(c, (32, 80)) for c in frame.cameras))
    labelled = with_pixel_labels(prepared)
    assert labelled.cameras[0].pixel_labels.depth_m.shape == (4, 10)
    assert_as_the_loop_says(labelled, prepared)


def test_a_lost_lidar_keeps_supervision_and_a_lost_camera_has_none():
    config = AugmentationConfig(lidar_dropout=1.0, camera_dropout=0.0, cameras_dropout=0.0)
    names = [c.name for c in make_frame(0).cameras]
    drawn = draw_augmentation(config, np.random.default_rng(0), names)
    deaf = apply(labelled_frame(), drawn, label_pixels=True)
    assert deaf.points is None
    assert all(np.isfinite(c.pixel_labels.depth_m).any() for c in deaf.cameras[:2])
    blind = without_cameras(with_pixel_labels(labelled_frame()), ["back"])
    assert [c.name for c in blind.cameras if c.pixel_labels is None] == ["back"]
    batch = collate([blind], [True])
    assert batch.pixel_depth_m.shape == (1, 7, 8, 12)
    assert batch.pixel_depth_m[0, 2].isnan().all()
    assert batch.pixel_depth_m[0, 0].isfinite().any()


def test_without_points_or_boxes_there_are_none():
    frame = labelled_frame()
    for lacking in (without_lidar(frame), replace(frame, labels=None)):
        assert with_pixel_labels(lacking) is lacking
        batch = collate([lacking], [True])
        assert batch.pixel_depth_m is batch.pixel_class is None
    empty = with_pixel_labels(replace(frame, points=frame.points[:0]))
    assert np.isnan(empty.cameras[0].pixel_labels.depth_m).all()

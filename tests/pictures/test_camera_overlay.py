from itertools import pairwise

import numpy as np
import pytest

from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.pictures import drawing, palette
from leapai.pictures.camera_overlay import (
    SAMPLES_PER_EDGE,
    CameraView,
    clip_to_view,
    draw_camera,
    ground_paths,
    project_edges,
)
from leapai.pictures.palette import CLASS_COLOURS
from leapai.types import LANE_MARKINGS, MapPolyline
from tests.pictures.made_up import at, camera, car, close_to, detections, gt

SIZE_PX = (240, 480)
BARREL = np.array([-0.25, 0.04, 0.0, 0.0, 0.0])


def test_edges_end_at_the_projected_corners():
    box = np.array([car(12, 1, 0.4)])
    view = CameraView(camera(), SIZE_PX)
    corner_pixels, _ = view.project(box_geometry.corners(box)[0])
    edges = project_edges(view, box)[0]
    for edge, (start, end) in zip(edges, box_geometry.EDGES, strict=True):
        assert edge[[0, -1]] == pytest.approx(corner_pixels[[start, end]])


def test_a_lens_curves_edges_and_a_pinhole_does_not():
    wide_box = np.array([[6.0, 0, 3.0, 2.0, 9.0, 1.0, 0.0]])

    def bend_px(distortion) -> float:
        edges = project_edges(CameraView(camera(distortion=distortion), SIZE_PX), wide_box)[0]
        near_upper = edges[7]
        along = np.linspace(0, 1, len(near_upper))[:, None]
        chord = near_upper[0] + (near_upper[-1] - near_upper[0]) * along
        return float(np.abs(near_upper - chord)[:, 1].max())

    assert bend_px(np.zeros(5)) < 1e-6
    assert bend_px(BARREL) > 3


@pytest.mark.parametrize("distortion", [np.zeros(5), BARREL])
def test_edges_that_pass_the_camera_end_at_the_picture(distortion):
    passing = np.array([[0.0, -2.5, 0.8, 20.0, 2.0, 1.6, 0.0]])
    view = CameraView(camera(distortion=distortion), SIZE_PX)
    edges = project_edges(view, passing)[0]
    height, width = SIZE_PX
    finite = edges[np.isfinite(edges).all(-1)]
    assert len(finite) > 20
    assert (np.abs(finite - (width / 2, height / 2)) < (0.6 * width, 0.8 * height)).all()
    near_left_bottom = edges[0]
    reached = near_left_bottom[np.isfinite(near_left_bottom).all(-1)]
    assert reached[:, 1].max() > height - 1


def test_a_box_centred_out_of_view_is_drawn_where_it_reaches_in():
    passing = [0.0, -2.5, 0.8, 20.0, 2.0, 1.6, 0.0]
    image = draw_camera(camera(), SIZE_PX, detections([passing]))
    assert close_to(image[:, 240:], CLASS_COLOURS[0]).sum() > 200
    assert not close_to(image[:, :200], CLASS_COLOURS[0]).any()


def test_boxes_behind_the_camera_are_not_drawn():
    empty = draw_camera(camera(), SIZE_PX)
    behind = draw_camera(camera(), SIZE_PX, detections([car(-12, 0)]), gt([car(-9, 1)]))
    assert np.array_equal(empty, behind)


@pytest.mark.parametrize("yaw", [0.0, 0.6])
def test_a_box_around_the_camera_does_not_cover_its_picture(yaw):
    around, ahead = [0.4, 0.2, 0.8, 4.5, 1.9, 1.4, yaw], car(12, 0)
    both = draw_camera(camera(), SIZE_PX, detections([ahead, around]), gt([around]))
    assert np.array_equal(both, draw_camera(camera(), SIZE_PX, detections([ahead])))
    beside = [0.4, -1.3, 0.8, 4.5, 1.9, 1.4, 0.0]
    assert not np.array_equal(both, draw_camera(camera(), SIZE_PX, detections([ahead, beside])))


def test_segments_are_cut_at_the_near_plane_and_the_sides():
    start, end = (
        np.array([[0, 0, -5.0], [-9, 0, 3.0], [0, 0, -1]]),
        np.array([[0, 0, 5.0], [9, 0, 3], [1, 0, -2]]),
    )
    cut_start, cut_end = clip_to_view(start, end, np.array([1.0, 0.5]))
    assert cut_start[0] == pytest.approx([0, 0, 0.2])
    assert cut_end[0] == pytest.approx([0, 0, 5])
    assert cut_start[1] == pytest.approx([-3, 0, 3])
    assert cut_end[1] == pytest.approx([3, 0, 3])
    assert np.isnan(cut_start[2]).all()


def test_detections_in_class_colour_over_thin_grey_gt():
    box = car(12, 0)
    view = CameraView(camera(), SIZE_PX)
    rear_upper = view.project(np.array([[10.0, 0.3, 1.6]]))[0][0]
    alone = draw_camera(camera(), SIZE_PX, None, gt([box], class_id=[2]))
    grey = draw_camera(camera(), SIZE_PX, detections([]), gt([box]))
    heavily = gt([box], occlusion_level=[3])
    darker = draw_camera(camera(), SIZE_PX, detections([]), heavily)
    both = draw_camera(camera(), SIZE_PX, detections([box], class_id=[1]), gt([box]))
    assert close_to(at(alone, rear_upper), CLASS_COLOURS[2], 60)
    assert close_to(at(grey, rear_upper), palette.GT, 60)
    assert at(darker, rear_upper).sum() < at(grey, rear_upper).sum() - 60
    assert close_to(at(both, rear_upper), CLASS_COLOURS[1], 60)


def test_the_front_face_is_shaded_and_the_rear_is_not():
    near_face = CameraView(camera(), SIZE_PX).project(np.array([[10.0, 0.85, 1.2]]))[0][0]
    towards, away = (
        at(draw_camera(camera(), SIZE_PX, detections([car(12, 0, yaw)])), near_face)
        for yaw in (np.pi, 0.0)
    )
    assert (away == 90).all()
    assert towards[2] > 120


def test_occlusion_styles_can_be_left_out():
    solid, heavy = detections([car(12, 0)]), detections([car(12, 0)], occlusion_level=[3])
    pictures = [
        draw_camera(camera(), SIZE_PX, shown, draw_occlusion=styled)
        for shown, styled in ((solid, True), (heavy, False), (heavy, True))
    ]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_points_are_coloured_by_depth_and_near_ones_lie_on_top():
    view = CameraView(camera(), SIZE_PX)
    points = np.array([[5.0, 0, 1.0], [50.0, 3.0, 1.0], [-5.0, 0, 1.0]])
    near, far = view.project(points[:2])[0]
    image = draw_camera(camera(), SIZE_PX, points=points)
    red, _, blue = at(image, near)
    assert red > blue
    red, _, blue = at(image, far)
    assert blue > red
    on_one_ray = np.array([[10.0, 0, 0.6], [50.0, 0, -3.4]])
    both = draw_camera(camera(), SIZE_PX, points=on_one_ray)
    assert np.array_equal(both, draw_camera(camera(), SIZE_PX, points=on_one_ray[:1]))


def test_a_failed_camera_says_so_and_shows_no_boxes():
    failed = camera(image=None)
    empty, with_box = (
        draw_camera(failed, SIZE_PX),
        draw_camera(failed, SIZE_PX, detections([car(12, 0)])),
    )
    assert np.array_equal(empty, with_box)
    centre = empty[100:140, 180:300]
    assert close_to(centre, palette.FAULT).sum() > 50


def test_the_image_given_is_not_drawn_on():
    given = camera()
    before = given.image.copy()
    draw_camera(given, given.size_px, detections([car(12, 0)]), gt([car(9, 0)]))
    assert np.array_equal(given.image, before)


def paths_one_by_one(view: CameraView, line_m: np.ndarray) -> list[np.ndarray]:
    """The slow twin of `ground_paths`: a segment after another, a point after another."""
    paths = []
    line_m = np.pad(line_m, ((0, 0), (0, 3 - line_m.shape[1])))
    for ends in pairwise(line_m):
        start, end = (poses.apply(view.camera_from_ego, point[None]) for point in ends)
        (start,), (end,) = clip_to_view(start, end, view.reach)
        samples = [start + s * (end - start) for s in np.linspace(0, 1, SAMPLES_PER_EDGE)]
        samples_ego = poses.apply(view.camera.ego_from_camera, np.stack(samples))
        path = np.concatenate([view.project(point[None])[0] for point in samples_ego])
        if np.isfinite(path).all():
            paths.append(path)
    return paths


@pytest.mark.parametrize("distortion", [np.zeros(5), BARREL])
def test_lines_together_are_the_lines_one_by_one(distortion):
    rng = np.random.default_rng(0)
    view = CameraView(camera(distortion=distortion), SIZE_PX)
    lines = [
        np.cumsum(rng.normal(0, 6, (rng.integers(2, 12), dimensions)), axis=0)
        * (1, 1, 0.05)[:dimensions]
        for dimensions in (2, 3) * 12
    ]
    together = ground_paths(view, lines)
    one_by_one = [paths_one_by_one(view, line) for line in lines]
    assert [len(paths) for paths in together] == [len(paths) for paths in one_by_one]
    assert sum(len(paths) for paths in together) > 30
    assert any(not paths for paths in together)
    for ours, expected in zip(together, one_by_one, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    map_lines = [
        MapPolyline(LANE_MARKINGS[i % len(LANE_MARKINGS)], 1.0, line)
        for i, line in enumerate(lines)
    ]
    picture = draw_camera(view.camera, SIZE_PX, map_lines=map_lines)
    slow = draw_camera(view.camera, SIZE_PX)
    drawing.draw_map_lines(
        slow, [(line.kind, paths) for line, paths in zip(map_lines, one_by_one, strict=True)]
    )
    name = (slice(0, 30), slice(0, 80))  # The camera's name lies over the lines, and once under.
    picture[name] = slow[name] = 0
    assert np.array_equal(picture, slow)
    assert not np.array_equal(picture, draw_camera(view.camera, SIZE_PX))

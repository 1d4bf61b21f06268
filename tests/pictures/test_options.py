"""Every option of `draw_dynamic_cfg` and `temporal_visualization` shows where it should."""

import numpy as np
import pytest

from leapai.geometry import poses
from leapai.pictures import palette
from leapai.pictures.bev_canvas import BevView
from leapai.pictures.palette import CANVAS, CLASS_COLOURS
from leapai.types import Detections, FloatArray, ImageArray, MemorySlots
from tests.pictures.made_up import (
    FAR_AWAY,
    at,
    canvas_of,
    car,
    changed_area,
    close_to,
    default_view,
    detections,
    frame,
    gt,
    painter,
)

CAR = CLASS_COLOURS[0]


def canvas(shown: Detections | None, draw=None, memory=None, labels=None, points=None, **temporal):
    current = frame(labels=labels, points=points)
    return canvas_of(painter(draw, **temporal).paint(current, shown, memory))


def outlined(image: ImageArray, box: list[float], view: BevView | None = None) -> bool:
    """Whether the right side of a car with yaw 0 is drawn in its colour."""
    middle_of_side = np.array([box[0] + 0.3, box[1] - box[4] / 2])
    return bool(close_to(at(image, (view or default_view()).pixels(middle_of_side)), CAR))


def side_of_truck(level: int, draw_occlusion: bool) -> ImageArray:
    """Five pixels across x pixels along the right side of a long box; the side is in the middle."""
    box = [20.0, 3.0, 1.5, 16.0, 3.0, 3.0, 0.0]
    shown = detections([box], occlusion_level=[level])
    image = canvas(shown, {"draw_occlusion": draw_occlusion})
    front, rear = np.rint(default_view().pixels(np.array([[27.5, 1.5], [12.5, 1.5]]))).astype(int)
    return image[front[1] : rear[1], front[0] - 2 : front[0] + 3]


def coverage(level: int, draw_occlusion: bool = True) -> float:
    return float(close_to(side_of_truck(level, draw_occlusion), CAR).any(1).mean())


def test_dynamic_conf_hides_less_confident_detections():
    shown = detections([car(10, 5), car(20, -5)], score=[0.5, 0.8])
    image = canvas(shown, {"dynamic_conf": 0.6})
    assert not outlined(image, car(10, 5))
    assert outlined(image, car(20, -5))
    assert outlined(canvas(shown, {"dynamic_conf": 0.4}), car(10, 5))


def test_max_objects_keeps_the_most_confident():
    boxes = [car(10, 5), car(20, 5), car(30, 5)]
    shown = detections(boxes, score=[0.6, 0.9, 0.7])
    image = canvas(shown, {"max_objects": 2})
    assert [outlined(image, box) for box in boxes] == [False, True, True]


def test_draw_velo_draws_an_arrow_of_velocity_scale_pixels_for_each_mps():
    shown = detections([car(10, 5)], velocity_mps=[[12.0, 0, 0]], track_id=[-1])
    still = canvas(shown)
    x, y = default_view().pixels(np.array([10.0, 5.0]))
    for scale in (5.0, 10.0):
        moving = canvas(shown, {"draw_velo": True}, velocity_scale=scale)
        left, top, right, bottom = changed_area(still, moving)
        assert top == pytest.approx(y - 12 * scale, abs=2)
        assert bottom <= y + 2
        assert left >= x - 8
        assert right <= x + 8


def test_an_arrow_to_the_left_points_left():
    shown = detections([car(10, 5)], velocity_mps=[[0, 12.0, 0]], track_id=[-1])
    left, _, right, _ = changed_area(canvas(shown), canvas(shown, {"draw_velo": True}))
    x, _ = default_view().pixels(np.array([10.0, 5.0]))
    assert left == pytest.approx(x - 60, abs=2)
    assert right <= x + 4


def test_draw_occlusion_breaks_the_outline_by_level():
    full, dashed, dotted, thin = (coverage(level) for level in range(4))
    assert full > 0.98
    assert 0.5 < dashed < 0.85
    assert 0.2 < dotted < dashed
    assert thin > 0.98


def test_the_heaviest_occlusion_is_thinner():
    def thickness(level: int) -> float:
        return float((side_of_truck(level, True).astype(int).sum(-1) > 300).sum(1).mean())

    assert thickness(3) < thickness(0)


def test_without_draw_occlusion_all_outlines_are_solid():
    solid = side_of_truck(0, False)
    assert all(np.array_equal(side_of_truck(level, False), solid) for level in (1, 2, 3))


def test_valid_range_hides_objects_but_not_points():
    boxes = [car(30, 0), car(10, 0), car(-30, 0), car(10, 20)]
    points = np.array([[30.0, 8.0, 2.0, 0, 0]], np.float32)
    draw = {"valid_range": (-20.0, 15.0, -10.0, 10.0)}
    image = canvas(detections(boxes), draw, points=points)
    assert [outlined(image, box) for box in boxes] == [False, True, False, False]
    assert at(image, default_view().pixels(np.array([30.0, 8.0]))).sum() > 450


def test_valid_range_hides_gt():
    pixel = default_view().pixels(np.array([30.3, -1.0]))
    near, far = (
        canvas(
            detections([]), {"valid_range": (-reach, 20.0, -25.0, 25.0)}, labels=gt([car(30, 0)])
        )
        for reach in (20.0, 60.0)
    )
    assert close_to(at(far, pixel), palette.GT)
    assert not close_to(at(near, pixel), palette.GT)


def test_the_default_valid_range_is_far_ahead_and_20_m_behind():
    boxes = [car(50, 0), car(-15, 0), car(-25, 0)]
    image = canvas(detections(boxes))
    assert [outlined(image, box) for box in boxes] == [True, True, False]


def test_coords_move_and_scale_the_canvas():
    coords = (-10.0, 41.2, -22.4, 22.4)
    image = canvas(detections([car(30, 5)]), {"coords": coords})
    assert outlined(image, car(30, 5), BevView(coords, 112, 128))
    assert not outlined(image, car(30, 5))


@pytest.mark.parametrize(("label_h", "label_w"), [(112, 128), (60, 100), (30, 150)])
def test_label_h_and_label_w_set_size_aspect_and_ticks(label_h: int, label_w: int):
    draw = {"label_h": label_h, "label_w": label_w}
    view = BevView(default_view().coords, label_h, label_w)
    height, width = view.size_px
    assert height == pytest.approx(900, abs=20)
    assert height * label_h == width * label_w
    image = canvas_of(painter(draw).paint(frame(), detections([car(30, 5)])), view)
    assert image.shape == (height, width, 3)
    assert outlined(image, car(30, 5), view)
    ticks = (image[:, 1] == palette.RING).all(-1)
    assert ticks[:: view.cell_px].all()
    assert ticks.sum() < height / 2
    assert (image[1, :: view.cell_px] == palette.RING).all()


class Drive:
    """The ego advances 2 m a frame; one object of the world crosses to the left, 1 m a frame."""

    def __init__(self, frames: int, levels: list[int] | None = None, still: bool = False) -> None:
        start_from_ego = [
            poses.from_xyz_yaw(np.array([2.0 * i, 0, 0]), 0.02 * i) for i in range(frames)
        ]
        in_start = np.array([[40.0, 0.0 if still else 1.5 * i, 0.8] for i in range(frames)])
        levels = levels or [0] * frames
        self.frames, self.detections = [], []
        for i, pose in enumerate(start_from_ego):
            self.frames.append(frame(i, ego2global=FAR_AWAY @ pose))
            centre = poses.apply(poses.invert(pose), in_start[i, None])[0]
            box = [*centre, 0.7, 0.7, 1.6, 0.0]
            self.detections.append(
                detections([box], track_id=[7], occlusion_level=[levels[i]], class_id=[3])
            )
        self.past_m: FloatArray = poses.apply(poses.invert(start_from_ego[-1]), in_start[:-1])

    def paint(self, draw: dict, **temporal) -> ImageArray:
        drawn = painter(draw, **temporal)
        for current, shown in zip(self.frames, self.detections, strict=True):
            picture = drawn.paint(current, shown)
        return canvas_of(picture)

    def dots(self, image: ImageArray) -> list[bool]:
        """Whether a dot in the person's colour stands at each past position, oldest first."""
        colours = (at(image, pixel).astype(int) for pixel in default_view().pixels(self.past_m))
        return [bool(red > 90 and red > 2 * green) for red, green, _ in colours]


def test_draw_trajectory_shows_where_a_track_was_in_the_world():
    drive = Drive(6)
    assert all(drive.dots(drive.paint({"draw_trajectory": True})))
    assert not any(drive.dots(drive.paint({"draw_trajectory": False})))


def test_trajectory_length_is_the_number_of_past_points():
    drive = Drive(6)
    for length, expected in ((2, [0, 0, 0, 1, 1]), (0, [0] * 5), (10, [1] * 5)):
        image = drive.paint({"draw_trajectory": True}, trajectory_length=length)
        assert drive.dots(image) == [bool(e) for e in expected]


def below(pixel: FloatArray) -> FloatArray:
    """One pixel further down: off the line through the dots."""
    return pixel + np.array([0, 1])


def test_show_occlusion_makes_points_of_hidden_objects_hollow():
    drive = Drive(6, levels=[0, 1, 2, 3, 0, 0])
    filled = drive.paint({"draw_trajectory": True}, show_occlusion=False)
    hollow = drive.paint({"draw_trajectory": True}, show_occlusion=True)
    pixels = default_view().pixels(drive.past_m)
    centre_is_empty = [bool(close_to(at(hollow, below(pixel)), CANVAS, 50)) for pixel in pixels]
    assert centre_is_empty == [False, False, True, True, False]
    assert not any(close_to(at(filled, below(pixel)), CANVAS, 30) for pixel in pixels)


@pytest.mark.parametrize(("missed", "kept"), [(1, True), (12, False)])
def test_a_trail_outlives_a_short_gap(missed: int, kept: bool):
    drive = Drive(6)
    drawn = painter({"draw_trajectory": True})
    for current, shown in zip(drive.frames[:-1], drive.detections[:-1], strict=True):
        drawn.paint(current, shown)
    pose = drive.frames[-1].ego2global
    for i in range(5, 5 + missed):
        drawn.paint(frame(i, ego2global=pose), detections([]))
    back = drawn.paint(frame(5 + missed, ego2global=pose), drive.detections[-1])
    assert drive.dots(canvas_of(back)) == [kept] * 5


def test_a_new_sequence_forgets_the_trails():
    drive = Drive(6)
    drawn = painter({"draw_trajectory": True})
    for current, shown in zip(drive.frames[:-1], drive.detections[:-1], strict=True):
        drawn.paint(current, shown)
    last = frame(5, ego2global=drive.frames[-1].ego2global, sequence="another drive")
    assert not any(drive.dots(canvas_of(drawn.paint(last, drive.detections[-1]))))


MEMORY = MemorySlots(
    position_m=np.array([[10.0, 10.0, 0], [20.0, 10.0, 0], [30.0, 10.0, 0]]),
    velocity_mps=np.array([[0.0, -8.0, 0]] * 3),
    class_id=np.array([0, 0, 0]),
    frames_ago=np.array([1, 2, 3]),
)


def strengths(image: ImageArray) -> list[int]:
    """Blue of the canvas at the slots, above the background."""
    pixels = default_view().pixels(MEMORY.position_m)
    return [int(at(image, pixel)[2]) - CANVAS[2] for pixel in pixels]


def test_show_history_draws_slots_that_fade_with_age():
    now, before, long_ago = strengths(canvas(None, memory=MEMORY, show_velocity=False))
    assert now > before > long_ago > 30
    assert max(strengths(canvas(None, memory=MEMORY, show_history=False))) < 30


def test_history_frames_limits_the_age():
    one = strengths(canvas(None, memory=MEMORY, history_frames=1))
    assert one[0] > 30
    assert max(one[1:]) < 30


def test_show_velocity_draws_arrows_of_slots():
    without = canvas(None, memory=MEMORY, show_velocity=False)
    with_arrows = canvas(None, memory=MEMORY, show_velocity=True, velocity_scale=4.0)
    left, top, right, bottom = changed_area(without, with_arrows)
    pixels = default_view().pixels(MEMORY.position_m)
    assert right == pytest.approx(pixels[0, 0] + 32, abs=2)
    assert left >= pixels[0, 0] - 1
    assert top >= pixels[2, 1] - 5
    assert bottom <= pixels[0, 1] + 5
    quiet = canvas(None, memory=MEMORY, show_velocity=True, show_history=False)
    assert np.array_equal(quiet, canvas(None))


def test_velocity_of_detections_and_of_slots_are_independent():
    shown = detections([car(10, 5)], velocity_mps=[[12.0, 0, 0]])
    with_slots, without = (
        canvas(shown, {"draw_velo": True}, show_velocity=s) for s in (True, False)
    )
    assert np.array_equal(with_slots, without)

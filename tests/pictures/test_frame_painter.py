from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leapai.data.log import open_logs
from leapai.pictures import palette
from leapai.pictures.page_parts import HEADER_PX
from leapai.types import ARGOVERSE2, CLASS_NAMES, Frame, ImageArray, MapLine
from tests.pictures.made_up import (
    FAR_AWAY,
    RIG,
    at,
    camera,
    canvas_of,
    car,
    changed_area,
    close_to,
    default_view,
    detections,
    frame,
    gt,
    painter,
    shows,
)

NUSCENES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "nuscenes"


def rig_frame(index: int = 0, **changes) -> Frame:
    cameras = tuple(camera(name, azimuth) for name, azimuth in RIG.items())
    points = np.array([[20.0, 5, 1, 0.5, 0]], np.float32)
    return frame(index, **{"cameras": cameras, "points": points, **changes})


def header(picture: ImageArray) -> ImageArray:
    return picture[:HEADER_PX]


def test_one_picture_shows_canvas_and_cameras():
    picture = painter().paint(rig_frame(), detections([car(12, 0)]))
    assert picture.shape == (1080, 1920, 3)
    assert picture.dtype == np.uint8
    assert close_to(
        at(canvas_of(picture), default_view().pixels(np.array([12.3, -1]))), (72, 176, 255)
    )
    cameras = picture[HEADER_PX:-130, 820:]
    assert (cameras == 90).all(-1).mean() > 0.6
    assert close_to(cameras, palette.CLASS_COLOURS[0]).sum() > 200


def test_a_failed_camera_and_lidar_are_told_in_the_header():
    fault = "back: samples/x.jpg:\ncannot be decoded"
    cameras = tuple(
        camera(name, azimuth, **({"image": None} if name == "back" else {}))
        for name, azimuth in RIG.items()
    )
    well = painter().paint(rig_frame(), None)
    failed = painter().paint(rig_frame(cameras=cameras, faults=(fault,)), None)
    blind = painter().paint(rig_frame(points=None), None)
    assert close_to(header(well), palette.FAULT).sum() == 0
    assert close_to(header(failed), palette.FAULT).sum() > 200
    assert close_to(header(blind), palette.FAULT).sum() > 50
    assert close_to(failed[HEADER_PX:], palette.FAULT).sum() > 30


def test_a_long_list_of_faults_stays_inside():
    faults = tuple(f"camera {i}: sensors/cameras: no such folder" for i in range(30))
    picture = painter().paint(rig_frame(faults=faults), None)
    assert (header(picture)[:, -10:] == palette.BACKGROUND).all()


def test_the_header_counts_frames_and_seconds_of_each_sequence():
    drawn = painter()
    first = drawn.paint(rig_frame(0), None)
    second = drawn.paint(rig_frame(1), None)
    other = drawn.paint(rig_frame(1, sequence="other"), None)
    again = drawn.paint(rig_frame(0), None)
    assert not np.array_equal(header(first), header(second))
    assert not np.array_equal(header(second), header(other))
    assert np.array_equal(first, again)


def test_a_frame_without_any_sensor_is_a_picture():
    picture = painter().paint(frame(), None)
    assert picture.shape == (1080, 1920, 3)


def test_the_legend_explains_only_what_is_drawn():
    quiet = painter(show_history=False).paint(frame(), None)
    full = painter({"draw_velo": True, "draw_occlusion": True, "draw_trajectory": True})
    _, top, _, bottom = changed_area(quiet, full.paint(frame(), None))
    assert top > 1080 - 80
    assert bottom < 1080
    for colour in palette.CLASS_COLOURS[: len(CLASS_NAMES)]:
        assert (quiet[-112:] == colour).all(-1).sum() > 200


def test_the_legend_names_what_the_data_has_only_where_it_has_it():
    line = MapLine("SOLID", "crossing", FAR_AWAY[:3, 3] + np.array([[500.0, 0, 0], [501, 0, 0]]))
    nothing = painter().paint(frame(), None)[-112:]
    labelled = painter().paint(frame(labels=gt([])), None)[-112:]
    mapped = painter().paint(frame(), None, vector_map=(line,))[-112:]
    for legend, colour in (
        (labelled, palette.GT),
        (mapped, palette.MAP_LAYER_COLOURS["lane_boundary"]),
    ):
        more = close_to(legend, colour).sum() - close_to(nothing, colour).sum()
        assert more > 20


def test_a_source_without_cameras_is_said_in_their_place():
    picture = painter().paint(frame(), None)[HEADER_PX:-112, -1088:]
    assert 100 < (picture != palette.BACKGROUND).any(-1).sum() < 10_000
    full = painter().paint(rig_frame(), None)[HEADER_PX:-112, -1088:]
    assert (full != palette.BACKGROUND).any(-1).sum() > 100_000


def test_map_lines_are_moved_from_the_global_into_the_ego_frame():
    ego_line = np.array([[5.0, 12.0, 0], [40.0, 12.0, 0]])
    line = MapLine("SOLID", "crossing", ego_line @ FAR_AWAY[:3, :3].T + FAR_AWAY[:3, 3])
    canvas = canvas_of(painter().paint(frame(), None, vector_map=(line,)))
    pixel = default_view().pixels(np.array([22.0, 12.0]))
    assert shows(canvas, pixel, palette.MAP_LAYER_COLOURS["crossing"], 30)
    assert not shows(
        canvas_of(painter().paint(frame(), None)), pixel, palette.MAP_LAYER_COLOURS["crossing"], 30
    )


def test_valid_range_holds_in_the_cameras_too():
    def cameras(reach: float) -> ImageArray:
        drawn = painter({"valid_range": (-reach, 20.0, -25.0, 25.0)})
        seen = rig_frame(labels=gt([car(31, -8)]))
        return drawn.paint(seen, detections([car(30, 0)]))[HEADER_PX:-130, 820:]

    far, near = cameras(60.0), cameras(20.0)
    for colour in (palette.GT, palette.CLASS_COLOURS[0]):
        assert close_to(far, colour).sum() > close_to(near, colour).sum()


@pytest.mark.skipif(not NUSCENES.exists(), reason=f"no real data at {NUSCENES}")
def test_a_real_frame():
    real = open_logs(f"nuscenes:{NUSCENES}", image_size_px=(512, 960))[0][0]
    assert real.labels is not None
    shown = detections(real.labels.boxes, class_id=real.labels.class_id)
    bare, drawn = (painter().paint(real, d)[HEADER_PX:-120, 820:] for d in (None, shown))
    for colour in (palette.CLASS_COLOURS[i] for i in (0, 1, 3, 6)):
        assert close_to(drawn, colour).sum() > close_to(bare, colour).sum() + 300


def test_the_legend_names_the_classes_of_the_network_and_counts_those_that_do_not_fit():
    many = replace(detections(np.zeros((0, 7))), vocabulary=ARGOVERSE2)
    picture = painter(show_history=False).paint(frame(), many)
    legend = picture[-112:]
    shown = [(legend == colour).all(-1).sum() > 200 for colour in palette.CLASS_COLOURS[:26]]
    assert shown[:5] == [True] * 5
    assert not shown[25]
    assert (legend[:, -30:] == palette.BACKGROUND).all()  # no text runs out of the picture

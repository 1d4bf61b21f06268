"""What a stream gives for a frame: it draws, tabulates and can be kept for a whole drive."""

import pickle
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from leapai.config import DrawDynamicConfig
from leapai.pictures.bev_canvas import BevView
from leapai.pictures.palette import CLASS_COLOURS
from leapai.streaming.sensor_health import Health
from leapai.streaming.streamed_detections import StreamedDetections
from leapai.types import Detections, MemorySlots
from tests.pictures.made_up import close_to, detections, gt
from tests.scenes import make_frame, small_config

CAR = [10.0, 4.0, 0.8, 4.0, 2.0, 1.6, 0.3]
PERSON = [20.0, -6.0, 0.9, 0.6, 0.6, 1.8, 0.0]
DRAW = DrawDynamicConfig(draw_velo=False)
VIEW = BevView(DRAW.coords, DRAW.label_h, DRAW.label_w)
HEALTH = Health({}, newest_age_s=0.1, oldest_age_s=0.3, memory_reset=False)


def result(boxes=(CAR, PERSON), **fields):
    defaults = {"class_id": [0, 3], "track_id": [5, -1], "score": [0.9, 0.8]}
    streamed = detections(list(boxes), **(defaults if not fields and boxes else fields))
    frame = make_frame(0)
    streamed = replace(streamed, sequence=frame.sequence, timestamp_us=frame.timestamp_us)
    dots = MemorySlots(
        np.array([[-15.0, 2.0, 0.5]]), np.zeros((1, 3)), np.array([1]), np.array([1])
    )
    config = small_config(draw_dynamic_cfg=DRAW)
    return StreamedDetections(**vars(streamed), health=HEALTH, memory=dots, config=config)


def shows(image, x_m, y_m, colour):
    x, y = np.rint(VIEW.pixels(np.array([x_m, y_m]))).astype(int)
    return bool(close_to(image[y - 2 : y + 3, x - 2 : x + 3], colour).any())


def test_its_arrays_have_names():
    streamed = result()
    np.testing.assert_array_equal(streamed.position_m, [CAR[:3], PERSON[:3]])
    np.testing.assert_array_equal(streamed.size_m, [CAR[3:6], PERSON[3:6]])
    np.testing.assert_array_equal(streamed.yaw_rad, [0.3, 0.0])
    assert streamed.class_name.tolist() == ["car", "person"]
    assert streamed.occlusion_name.tolist() == ["NoOccluded", "NoOccluded"]
    empty = result(boxes=())
    assert [len(a) for a in (empty.position_m, empty.class_name, empty.occlusion_name)] == [0, 0, 0]


def test_a_selection_keeps_what_belongs_to_the_frame():
    streamed = result()
    one = streamed.select(streamed.class_name == "person")
    assert isinstance(one, StreamedDetections)
    assert isinstance(one, Detections)
    assert (len(one), one.health, one.config) == (1, streamed.health, streamed.config)
    np.testing.assert_array_equal(one.boxes, [PERSON])


def test_a_plot_shows_detections_and_memory():
    image = result().plot()
    assert image.shape == (*VIEW.size_px, 3)
    assert image.dtype == np.uint8
    rear = (10.0 - 2.0 * np.cos(0.3), 4.0 - 2.0 * np.sin(0.3))
    assert shows(image, *rear, CLASS_COLOURS[0])
    nothing = result(boxes=()).plot()
    assert not shows(nothing, *rear, CLASS_COLOURS[0])


def test_a_plot_shows_what_the_network_remembered():
    streamed = result(boxes=())
    forgetful = replace(streamed, memory=streamed.memory.select(np.zeros(0, np.int64)))
    changed = np.argwhere((streamed.plot() != forgetful.plot()).any(-1))
    assert len(changed)
    assert np.abs(changed - VIEW.pixels(np.array([-15.0, 2.0]))[::-1]).max() < 5


def test_a_plot_hides_what_the_configuration_hides():
    sure, unsure = result(), result(class_id=[0, 3], score=[0.2, 0.2])
    assert (sure.plot() != unsure.plot()).any()
    np.testing.assert_array_equal(unsure.plot(), result(boxes=()).plot())


def test_with_its_frame_a_plot_shows_points_and_gt():
    streamed = result(boxes=())
    points = np.array([[25.0, 20.0, 1.0, 0.5, 0.0]], np.float32)
    frame = replace(make_frame(0), points=points, labels=gt([30.0, -20.0, 0.8, 4, 2, 1.6, 0]))
    changed = np.argwhere((streamed.plot() != streamed.plot(frame)).any(-1))
    for place in ([25.0, 20.0], [28.0, -20.0]):
        away = np.abs(changed - VIEW.pixels(np.array(place))[::-1]).max(1)
        assert away.min() < 2


def test_another_frame_is_refused():
    with pytest.raises(ValueError, match=r"drive at 1100000 us.*of drive at 1000000 us"):
        result().plot(make_frame(1))
    with pytest.raises(ValueError, match="frame is other at"):
        result().plot(make_frame(0, sequence="other"))


def test_a_plot_is_written_where_it_is_told(tmp_path):
    path = tmp_path / "new" / "plot.png"
    image = result().plot(path=path)
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], image)
    assert [p.name for p in path.parent.iterdir()] == ["plot.png"]


def test_a_table_has_names_with_units():
    rows = result().to_table().to_pylist()
    assert [row["class_name"] for row in rows] == ["car", "person"]
    assert (rows[0]["x_m"], rows[0]["yaw_rad"], rows[0]["track_id"]) == (10.0, 0.3, 5)


def test_a_dataframe_is_the_table():
    pytest.importorskip("pandas")
    streamed = result()
    frame = streamed.to_dataframe()
    assert list(frame.columns) == streamed.to_table().column_names
    assert frame["y_m"].tolist() == [4.0, -6.0]


def test_without_pandas_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'leapai\[pandas\]'"):
        result().to_dataframe()


def test_it_goes_to_other_programs():
    streamed = result()
    assert [row["detection_name"] for row in streamed.to_nuscenes("s")] == ["car", "pedestrian"]
    assert [row["tracking_id"] for row in streamed.to_nuscenes("s", tracking=True)] == ["5"]
    assert streamed.to_argoverse2(7)["timestamp_ns"].to_pylist() == [7, 7]
    assert streamed.to_argoverse2()["timestamp_ns"].to_pylist() == [1_000_000_000] * 2


def test_it_is_small():
    assert len(pickle.dumps(result())) < 20_000

"""How data sets are found, and what a log offers without effort."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from leapai.config import BevConfig
from leapai.data import data_names
from leapai.data.log import DrivingLog, LogWrapper, open_logs, version_of
from leapai.types import STATIC_CLASSES
from tests.scenes import make_frame

SIZE_PX = (32, 48)
READER = '''
"""A data set of one file."""

import numpy as np

from leapai.data.log import DrivingLog
from leapai.types import Frame


class Log(DrivingLog):
    """Two frames without sensors."""

    def __init__(self, name, options):
        self.name, self.options = name, options

    timestamps_us = np.arange(2) * 100_000

    def __getitem__(self, index):
        return Frame(self.name, int(self.timestamps_us[index]), np.eye(4), (), None, None)


class NoLog:
    """Looks like a log, but is derived from nothing."""

    name = "no log"


def open_logs(location, options):
    return [Log(location, options)]


def open_others(location, options):
    return [NoLog()]


def open_nothing(location, options):
    return None


def open_none(location, options):
    return []


def open_as_before(location, *, image_size_px):
    return [Log(location, image_size_px)]


not_a_function = 3
'''


@pytest.fixture
def reader(tmp_path, monkeypatch):
    (tmp_path / "reader_of_test.py").write_text(READER)
    (tmp_path / "broken_reader_of_test.py").write_text("import no_such_package_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "reader_of_test"
    sys.modules.pop("reader_of_test", None)


def test_a_function_is_named_on_the_command_line_with_any_location(reader):
    (log,) = open_logs(f"{reader}:open_logs:/data/x:y,z=1", image_size_px=SIZE_PX)
    assert (log.name, len(log)) == ("/data/x:y,z=1", 2)
    assert (log.options.image_size_px, log.options.label_range_m) == (SIZE_PX, None)
    wide = ((-50.0, 90.0), (-60.0, 60.0))
    (log,) = open_logs(f"{reader}:open_logs:", image_size_px=SIZE_PX, label_range_m=wide)
    assert (log.name, log.options.label_range_m) == ("", wide)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nuscene:/x", r"no data set 'nuscene'; use one of those installed: argoverse2, folder"),
        ("nuscene:/x", "or a function of your own as module:function:location"),
        (
            "no_such_module:open_logs:/x",
            "'no_such_module:open_logs' cannot be imported.*No mod",
        ),
        ("broken_reader_of_test:open_logs:/x", "no_such_package_anywhere.*install its package"),
        ("reader_of_test:open_it:/x", "has no function 'open_it'; name the one that opens"),
        ("reader_of_test:not_a_function:/x", "has no function 'not_a_function'"),
        ("reader_of_test:open_others:/x", "class NoLog, which is no DrivingLog; derive the class"),
        ("reader_of_test:open_nothing:/x", "returned NoneType; it must return a list"),
        ("reader_of_test:open_none:/x", "found no sequence of frames there; check the location"),
        ("reader_of_test:open_as_before:/x", r"cannot be called with \(location, options\).*def"),
    ],
)
def test_what_is_no_data_set_is_one_error_with_its_remedy(reader, data, message):
    with pytest.raises(ValueError, match=message) as caught:
        open_logs(data, image_size_px=SIZE_PX)
    assert str(caught.value).startswith(f"data '{data}': ")


def test_two_packages_of_one_name_are_an_error(monkeypatch):
    points = [
        data_names.EntryPoint("car", f"{package}:open_logs", data_names.ENTRY_POINTS)
        for package in ("one", "two")
    ]
    monkeypatch.setattr(data_names, "entry_points", lambda group: points)
    with pytest.raises(ValueError, match=r"data set 'car' \(one:open_logs and two:open_logs\)"):
        open_logs("car:/x", image_size_px=SIZE_PX)


def test_only_the_data_set_that_is_asked_for_is_imported():
    code = """
import sys
from leapai.data.log import open_logs
try:
    open_logs("nuscenes:/nowhere", image_size_px=(32, 48))
except ValueError as error:
    print(error)
print([name for name in sys.modules if "leapai_world" in name or "argoverse2" in name])
print("leapai.data.nuscenes.nuscenes_reader" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message, others, asked = run.stdout.splitlines()
    assert "there is no folder v1.0-*" in message
    assert (others, asked) == ("[]", "True")


class Bare(DrivingLog):
    """What a log must have, and no more."""

    name = "bare"

    @property
    def timestamps_us(self):
        return np.arange(3) * 100_000

    def __getitem__(self, index):
        return make_frame(index)


def test_all_but_times_and_frames_has_a_default():
    log = Bare()
    assert (len(log), log.version, log.static_classes) == (3, None, STATIC_CLASSES)
    assert log.vector_map() is None
    gt, frame = log.ground_truth(1), log[1]
    assert (gt.cameras, gt.points) == ((), None)
    assert (gt.timestamp_us, gt.labels) == (frame.timestamp_us, frame.labels)
    np.testing.assert_array_equal(gt.ego2global, frame.ego2global)
    with pytest.raises(TypeError, match="timestamps_us"):
        type("Half", (DrivingLog,), {"__getitem__": Bare.__getitem__})()


def test_a_wrapper_is_its_inner_log_in_all_that_it_does_not_change():
    class Versioned(Bare):
        name, version, static_classes = "v", "7", ("Curb",)

        def ground_truth(self, index):
            return replace(super().ground_truth(index), sequence="from tables")

        def vector_map(self):
            return ()

        def __len__(self):
            return 2

    log = LogWrapper(Versioned())
    assert (log.name, log.version, log.static_classes, len(log)) == ("v", "7", ("Curb",), 2)
    assert log.ground_truth(0).sequence == "from tables"
    assert log.vector_map() == ()
    assert log[1].timestamp_us == make_frame(1).timestamp_us
    np.testing.assert_array_equal(log.timestamps_us, [0, 100_000, 200_000])
    assert version_of([log, Bare(), LogWrapper(log)]) == "7"
    assert version_of([Bare()]) is None


def test_a_wider_bev_gets_labels_outside_the_default_range():
    bev = BevConfig(x_range_m=(-80.0, 104.0), y_range_m=(-80.0, 80.0))
    data = "synthetic:seed=3,frames=4,place=street,beams=2"
    (narrow,) = open_logs(data, image_size_px=SIZE_PX)
    (wide,) = open_logs(data, image_size_px=SIZE_PX, label_range_m=bev.label_range_m)
    default = BevConfig().label_range_m
    (same,) = open_logs(data, image_size_px=SIZE_PX, label_range_m=default)
    smaller = ((0.0, 10.0), (-5.0, 5.0))
    (small,) = open_logs(data, image_size_px=SIZE_PX, label_range_m=smaller)
    outside = 0
    for index in range(4):
        few, many = (log.ground_truth(index).labels for log in (narrow, wide))
        (low_x, high_x), (low_y, high_y) = default
        x, y = many.boxes[:, 0], many.boxes[:, 1]
        inside = (x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y)
        outside += (~inside).sum()
        np.testing.assert_array_equal(many.boxes[inside], few.boxes)
        np.testing.assert_array_equal(many.track_id[inside], few.track_id)
        for log in (same, small):
            np.testing.assert_array_equal(log.ground_truth(index).labels.boxes, few.boxes)
    assert outside > 10
    assert len(wide[0].labels) > len(narrow[0].labels)

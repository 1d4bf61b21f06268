"""The public API: every name of `leapai.__all__` does what its docstring shows."""

import doctest
import subprocess
import sys

import numpy as np
import pytest

import leapai
from leapai.types import BevGrid


def test_it_is_complete_and_listed():
    assert set(leapai.__all__) <= set(dir(leapai))
    for name in leapai.__all__:
        assert getattr(leapai, name).__doc__


def test_a_name_that_does_not_exist_is_named():
    with pytest.raises(AttributeError, match=r"module 'leapai' has no attribute 'laod'"):
        leapai.laod  # noqa: B018


def test_a_name_is_imported_when_it_is_first_asked_for():
    code = "import sys, leapai; leapai.Frame; print('torch' in sys.modules, 'Frame' in dir(leapai))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("function", ["load", "evaluate"])
def test_the_example_of_a_docstring_runs(function):
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(leapai, function), function)
    assert example.examples
    results = doctest.DocTestRunner().run(example)
    assert results.failed == 0


def test_logs_are_opened_by_the_name_of_their_data_set():
    (log,) = leapai.open_logs("synthetic:frames=1", image_size_px=(32, 60))
    assert isinstance(log[0], leapai.Frame)
    assert isinstance(log[0].cameras[0], leapai.CameraFrame)
    assert isinstance(log[0].labels, leapai.Labels)
    with pytest.raises(ValueError, match="there is no data set 'lyft'"):
        leapai.open_logs("lyft:/data", image_size_px=(32, 60))


def test_data_types_are_made_by_hand():
    labels = leapai.Labels.unlabelled(np.zeros((1, 7)), np.zeros(1, np.int64))
    frame = leapai.Frame("a", 0, np.eye(4), cameras=(), points=None, labels=labels)
    detections = leapai.Detections.from_labels(frame)
    assert len(detections) == 1
    assert leapai.Map(np.zeros((14, 112, 128)), BevGrid()).lines == ()

"""The scripts of `examples/` run, and show what they promise."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import leapai

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_frames_go_through_the_step_as_through_a_stream():
    module = example("own_batch")
    results = module.main(frames=2)
    stream = leapai.load(device="cpu")
    for index, (monday, _) in enumerate(results):
        expected = stream.step(module.own_frame("monday", index))
        assert len(monday) == len(expected) > 0
        np.testing.assert_allclose(monday.boxes, expected.boxes, atol=1e-2)


@pytest.fixture(scope="module")
def first_log(tmp_path_factory):
    pytest.importorskip("embreex")
    folder = tmp_path_factory.mktemp("first_log")
    module = example("first_log")
    module.main(folder)
    return module, folder


def test_the_first_log_is_predicted_and_its_tables_read(first_log):
    _, folder = first_log
    tables = {name: pq.read_table(folder / "predicted" / f"{name}.parquet") for name in
              ("detections", "tracks", "lines", "frames")}  # fmt: skip
    assert tables["frames"].num_rows == 3
    assert max(tables["tracks"]["frames"].to_pylist()) == 3
    assert "car" in tables["detections"]["class_name"].to_pylist()
    assert tables["lines"].num_rows > 0


def test_files_on_disk_give_the_detections_of_the_frames_they_were_written_of(first_log):
    module, folder = first_log
    (log,) = leapai.open_logs(module.WORLD, image_size_px=(128, 240))
    expected = leapai.load(device="cpu").step(log[0]).to_table()
    found = pq.read_table(folder / "predicted" / "detections.parquet")[: len(expected)]
    for column in ("x_m", "y_m", "yaw_rad", "score"):
        np.testing.assert_allclose(found[column], expected[column], atol=1e-3)

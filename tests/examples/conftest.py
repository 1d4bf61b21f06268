"""The export and the recording that tests of the C++ sample share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "cpp" / "record_drive.py"


@pytest.fixture(scope="session")
def record_drive():
    """The script of that name, as a module."""
    spec = importlib.util.spec_from_file_location("record_drive", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    from tests.examples.recorded_drives import both_tasks

    return mixing_export(tmp_path_factory, both_tasks())


@pytest.fixture(scope="session")
def recorded(record_drive, exported, tmp_path_factory):
    return recording(record_drive, exported, tmp_path_factory)


@pytest.fixture(scope="session", params=["objects alone", "map alone", "without memory"])
def one_task(request, record_drive, tmp_path_factory):
    """The export of a network that has less than both tasks with memory, and a recording of it."""
    from tests.examples.recorded_drives import ONE_TASK

    exported = mixing_export(tmp_path_factory, ONE_TASK[request.param])
    return exported, recording(record_drive, exported, tmp_path_factory)


def mixing_export(tmp_path_factory, config):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.examples.mixing_export import write_mixing_export

    return write_mixing_export(tmp_path_factory.mktemp("mixing"), config)


def recording(record_drive, exported, tmp_path_factory):
    from tests.examples.recorded_drives import RECORDED, SOURCE

    folder = tmp_path_factory.mktemp("recording") / "recorded"
    assert record_drive.record(exported, SOURCE, folder) == RECORDED
    return folder

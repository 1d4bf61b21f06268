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
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.examples.mixing_export import write_mixing_export
    from tests.examples.recorded_drives import config

    return write_mixing_export(tmp_path_factory.mktemp("mixing"), config())


@pytest.fixture(scope="session")
def recorded(record_drive, exported, tmp_path_factory):
    from tests.examples.recorded_drives import RECORDED, SOURCE

    folder = tmp_path_factory.mktemp("recording") / "recorded"
    assert record_drive.record(exported, SOURCE, folder) == RECORDED
    return folder

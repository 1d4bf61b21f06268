"""The example in docs/own_data.md is run as it is printed there."""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leapai.data import log
from leapai.inspection.log_inspection import inspect_logs
from leapai.types import Frame

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "own_data.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


@pytest.fixture
def location(tmp_path, monkeypatch):
    """A drive as the document describes it, and its adapter installed as it says."""
    adapter, line = blocks("python")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "ourcar.py").write_text(adapter)
    monkeypatch.syspath_prepend(tmp_path / "code")
    (name, target), *_ = re.findall(r'"(.*?)": "(.*?)"', line)
    # Outside the package here, as a test must not write into it.
    monkeypatch.setitem(log.SOURCES, name, target.removeprefix("leapai.data."))
    folder = tmp_path / "drives" / "monday"
    for part in ("front", "lidar"):
        (folder / part).mkdir(parents=True)
    (folder / "drive.json").write_text(blocks("json")[0])
    Image.new("RGB", (640, 480)).save(folder / "front" / "000000.jpg")
    points = [[12.0, 2.0, 0.8, 0.5, 0.0], [12.0, 2.0, 0.1, 0.5, 0.0], [30.0, 0.0, 0.0, 0.5, 0.0]]
    np.save(folder / "lidar" / "000000.npy", np.array(points, np.float32))
    importlib.invalidate_caches()
    return tmp_path / "drives"


def test_the_documented_adapter_reads_and_passes_inspection(location):
    opened = log.open_logs(f"ourcar:{location}", image_size_px=(512, 960))
    metrics = inspect_logs(opened)
    assert (metrics.sequences, metrics.frames, metrics.frames_with_points) == (1, 1, 1)
    assert metrics.cameras[0].frames_with_image == 1
    assert metrics.boxes_by_class["car"] == 1
    assert (metrics.point_counts.boxes, metrics.point_counts.exact) == (1, 1)
    assert not metrics.faults


def test_the_documented_adapter_goes_on_without_sensors(location):
    (location / "monday" / "front" / "000000.jpg").write_bytes(b"")
    (location / "monday" / "lidar" / "000000.npy").unlink()
    (drive,) = log.open_logs(f"ourcar:{location}", image_size_px=(512, 960))
    frame = drive[0]
    assert frame.cameras[0].image is None
    assert frame.points is None
    assert frame.faults == (
        "front: front/000000.jpg: holds no bytes",
        "lidar: lidar/000000.npy: no such file",
    )


def test_the_documented_adapter_names_what_is_wrong(location):
    path = location / "monday" / "drive.json"
    drive = json.loads(path.read_text())
    drive["frames"][0]["position_m"][2] = float("inf")
    path.write_text(json.dumps(drive))
    with pytest.raises(ValueError, match=r"drive\.json: row 0: the pose is not finite"):
        log.open_logs(f"ourcar:{location}", image_size_px=(512, 960))
    drive["frames"][0]["objects"][0]["class"] = "Ufo"
    path.write_text(json.dumps(drive))
    with pytest.raises(ValueError, match=r"drive\.json: unknown classes \['Ufo'\]"):
        log.open_logs(f"ourcar:{location}", image_size_px=(512, 960))
    with pytest.raises(ValueError, match="give the folder of the drives"):
        log.open_logs(f"ourcar:{location / 'monday'}", image_size_px=(512, 960))


def test_the_document_names_every_field_of_a_frame():
    text = DOCUMENT.read_text()
    for name in Frame.__dataclass_fields__:
        assert f"| `{name}` |" in text

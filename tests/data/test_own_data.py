"""The example in docs/own_data.md is run as it is printed there: installed, and by its function."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leapai.data.log import open_logs
from leapai.inspection.log_inspection import inspect_logs
from leapai.types import Frame

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "own_data.md"
SIZE_PX = (512, 960)
USE_INSTALLED = """
import sys
import ourcar_reader
from leapai.data.log import open_logs
(log,) = open_logs(sys.argv[1], image_size_px=(512, 960))
assert type(log) is ourcar_reader.OurCarLog
frame = log[0]
print(ourcar_reader.__file__)
print(frame.cameras[0].image.shape, frame.points.shape, frame.labels.boxes.shape, frame.faults)
"""


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return found


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package that the document describes."""
    folder = tmp_path_factory.mktemp("code") / "ourcar"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(block("toml"))
    (folder / "ourcar_reader.py").write_text(block("python"))
    return folder


@pytest.fixture(scope="module")
def installed_python(package, tmp_path_factory):
    """The interpreter of a fresh environment into which pip has installed the package; the other
    libraries are those of this environment."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    site_packages = Path(sysconfig.get_path("purelib", vars=paths))
    here = sysconfig.get_path("purelib")
    (site_packages / "other_libraries.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    python = Path(sysconfig.get_path("scripts", vars=paths)) / "python"
    source = shutil.copytree(package, folder / "source")  # building leaves files there
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", *options, source], check=True
    )
    return python


@pytest.fixture
def location(tmp_path):
    """A drive as the document describes it."""
    folder = tmp_path / "drives" / "monday"
    for part in ("front", "lidar"):
        (folder / part).mkdir(parents=True)
    (folder / "drive.json").write_text(block("json"))
    Image.linear_gradient("L").resize((640, 480)).convert("RGB").save(
        folder / "front" / "000000.jpg"
    )
    points = [[12.0, 2.0, 0.8, 0.5, 0.0], [12.0, 2.0, 0.1, 0.5, 0.0], [30.0, 0.0, 0.0, 0.5, 0.0]]
    np.save(folder / "lidar" / "000000.npy", np.array(points, np.float32))
    return tmp_path / "drives"


@pytest.fixture
def data(location, package, monkeypatch):
    """The drive by the function that opens it, without installing."""
    monkeypatch.syspath_prepend(package)
    yield f"ourcar_reader:open_logs:{location}"
    sys.modules.pop("ourcar_reader", None)


def test_installed_by_pip_it_is_found_by_its_name(installed_python, location):
    run = subprocess.run(
        [installed_python, "-c", USE_INSTALLED, f"ourcar:{location}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=location,
    )
    where, frame = run.stdout.splitlines()
    assert Path(where).is_relative_to(installed_python.parents[1])
    assert frame == "(480, 640, 3) (3, 5) (1, 7) ()"


def test_not_installed_it_is_named_by_its_function_and_passes_inspection(data):
    metrics = inspect_logs(open_logs(data, image_size_px=SIZE_PX))
    assert (metrics.sequences, metrics.frames, metrics.frames_with_points) == (1, 1, 1)
    assert metrics.cameras[0].frames_with_image == 1
    assert metrics.boxes_by_class["car"] == 1
    assert (metrics.point_counts.boxes, metrics.point_counts.exact) == (1, 1)
    assert not metrics.faults
    with pytest.raises(ValueError, match="there is no data set 'ourcar'; use one of those"):
        open_logs(data.replace("ourcar_reader:open_logs", "ourcar"), image_size_px=SIZE_PX)


def test_the_documented_log_goes_on_without_sensors(location, data):
    (location / "monday" / "front" / "000000.jpg").write_bytes(b"")
    (location / "monday" / "lidar" / "000000.npy").unlink()
    (drive,) = open_logs(data, image_size_px=SIZE_PX)
    frame = drive[0]
    assert frame.cameras[0].image is None
    assert frame.points is None
    assert frame.faults == (
        "front: front/000000.jpg: holds no bytes",
        "lidar: lidar/000000.npy: no such file",
    )
    assert drive.vector_map() is None
    assert len(drive.ground_truth(0).labels) == 1


def test_the_documented_log_names_what_is_wrong(location, data):
    path = location / "monday" / "drive.json"
    drive = json.loads(path.read_text())
    drive["frames"][0]["position_m"][2] = float("inf")
    path.write_text(json.dumps(drive))
    with pytest.raises(ValueError, match=r"drive\.json: row 0: the pose is not finite"):
        open_logs(data, image_size_px=SIZE_PX)
    drive["frames"][0]["objects"][0]["class"] = "Ufo"
    path.write_text(json.dumps(drive))
    with pytest.raises(ValueError, match=r"drive\.json: unknown classes \['Ufo'\]"):
        open_logs(data, image_size_px=SIZE_PX)
    with pytest.raises(ValueError, match="give the folder of the drives"):
        open_logs(f"{data}/monday", image_size_px=SIZE_PX)


def test_the_document_names_every_field_of_a_frame():
    text = DOCUMENT.read_text()
    for name in Frame.__dataclass_fields__:
        assert f"| `{name}` |" in text

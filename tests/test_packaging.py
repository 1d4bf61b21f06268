"""The wheel: what is in it, and what a plain `pip install leapai` needs."""

import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from email.parser import BytesParser
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("leapai", "leapai_world")
ON_A_VEHICLE = {
    "torch", "timm", "numpy", "scipy", "opencv-python-headless", "pillow", "pyarrow", "pydantic",
    "safetensors", "rich", "argcomplete", "simplejpeg",
}  # fmt: skip
pytestmark = pytest.mark.skipif(
    find_spec("hatchling") is None, reason="hatchling, which builds the wheel, is not installed"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", str(folder)], cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("leapai-*.whl")
    with ZipFile(path) as archive:
        yield archive


def metadata(wheel, name):
    (path,) = [each for each in wheel.namelist() if each.endswith(f".dist-info/{name}")]
    return wheel.read(path)


def requirements(wheel):
    """(name, extra or None) of each requirement of the wheel."""
    lines = BytesParser().parsebytes(metadata(wheel, "METADATA")).get_all("Requires-Dist")
    for line in lines:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        yield re.split(r"[^\w-]", line, maxsplit=1)[0], extra[1] if extra else None


def test_it_holds_both_packages_with_all_their_files_and_nothing_else(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES],
        cwd=ROOT / "src", capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tracked.returncode:
        pytest.skip("the files of the repository are listed by git")
    there = {name for name in tracked.stdout.splitlines() if (ROOT / "src" / name).is_file()}
    assert names == there
    assert {"leapai/py.typed", "leapai/report/page/report.html.j2"} <= names
    assert "leapai/config/shipped/tiny_step2_dynamic.py" in names
    weights = (ROOT / "src/leapai/weights/tiny.ckpt").read_bytes()
    assert wheel.read("leapai/weights/tiny.ckpt") == weights


def test_a_plain_installation_is_what_a_vehicle_needs(wheel):
    assert {name for name, extra in requirements(wheel) if extra is None} == ON_A_VEHICLE


def test_everything_else_is_an_extra(wheel):
    extras = {}
    for name, extra in requirements(wheel):
        extras.setdefault(extra, set()).add(name)
    assert {"jinja2", "av"} <= extras["report"]
    for extra, name in (
        ("train", "tensorboard"), ("world", "embreex"), ("viewer", "rerun-sdk"),
        ("mcap", "rosbags"), ("mcap", "mcap"), ("py123d", "msgpack"), ("py123d", "laspy"),
        ("pandas", "pandas"), ("pcd", "pypcd4"), ("remote", "s3fs"),
        ("hub", "huggingface-hub"), ("wandb", "wandb"), ("mlflow", "mlflow"),
        ("export", "onnxscript"), ("runtime", "onnxruntime"),
    ):  # fmt: skip
        assert name in extras[extra]
    together = (
        *("train", "report", "world", "viewer", "export", "runtime", "pandas", "pcd", "remote"),
        *("mcap", "py123d", "hub"),
    )
    assert extras["all"] == set().union(*(extras[extra] for extra in together))


def test_its_entry_points_are_those_of_the_project(wheel):
    parser = ConfigParser(delimiters="=", interpolation=None)
    parser.optionxform = str
    parser.read_string(metadata(wheel, "entry_points.txt").decode())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {"console_scripts": project["scripts"], **project["entry-points"]}
    assert {group: dict(parser[group]) for group in parser.sections()} == declared
    assert {"synthetic", "nuscenes", "argoverse2"} <= set(declared["leapai.data"])

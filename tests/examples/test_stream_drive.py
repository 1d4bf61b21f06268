"""The C++ sample of `examples/cpp` finds over a recorded drive what Python found.

It is built where CMake finds ONNX Runtime for C++, for instance by the environment variable
CMAKE_PREFIX_PATH, and skipped elsewhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.examples.conftest import SCRIPT
from tests.examples.recorded_drives import RECORDED

NOT_FOUND = "ONNX Runtime for C++ was not found"


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The program, built without optimisation, which is faster to build."""
    if shutil.which("cmake") is None:
        pytest.skip("CMake, which builds the C++ sample, is not installed")
    folder = tmp_path_factory.mktemp("build")
    configure = ["cmake", "-S", SCRIPT.parent, "-B", folder, "-DCMAKE_BUILD_TYPE=Debug"]
    configured = subprocess.run(configure, capture_output=True, text=True, check=False)
    words = " ".join(configured.stderr.split())
    if NOT_FOUND in words:
        pytest.skip(f"{NOT_FOUND}: name its folder by CMAKE_PREFIX_PATH")
    if "CMAKE_CXX_COMPILER" in words:
        pytest.skip("a C++ compiler, which builds the C++ sample, is not installed")
    assert configured.returncode == 0, configured.stderr
    built = subprocess.run(
        ["cmake", "--build", folder], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "warning" not in built.stdout + built.stderr
    return folder / "stream_drive"


@pytest.fixture
def copy(recorded, tmp_path):
    return shutil.copytree(recorded, tmp_path / "copy")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_finds_the_objects_and_the_map_of_every_frame(program, exported, recorded):
    ran = run(program, exported / "step.onnx", recorded)
    assert ran.returncode == 0, ran.stderr + ran.stdout[-500:]
    assert f"{RECORDED} of {RECORDED} frames agree" in ran.stdout
    expected = [np.load(path) for path in sorted(recorded.glob("*/expected/objects.npy"))]
    printed = re.findall(r"^\S.* at [\d.]+ s: (\d+) objects$", ran.stdout, re.MULTILINE)
    assert list(map(int, printed)) == [len(objects) for objects in expected]
    rows = re.findall(r"^  (\S+) +x +(\S+) .* (\S+)$", ran.stdout, re.MULTILINE)
    assert len(rows) == sum(map(len, expected))
    assert float(rows[0][1]) == pytest.approx(expected[0][0, 3], abs=0.06)
    assert float(rows[0][2]) == pytest.approx(expected[0][0, -1], abs=0.006)


def test_it_runs_a_network_with_less(program, one_task):
    exported, recorded = one_task
    ran = run(program, exported / "step.onnx", recorded)
    assert ran.returncode == 0, ran.stderr + ran.stdout[-500:]


@pytest.mark.parametrize(
    ("name", "place", "change"),
    [
        ("objects", (0, 3), 0.02),
        ("objects", (0, 1), 1),
        ("objects", (0, 2), 1),
        ("objects", (0, 13), -0.02),
        ("map_logits", (0, 0, 0), 0.02),
    ],
)
def test_a_difference_is_seen(program, exported, copy, name, place, change):
    path = copy / "000004" / "expected" / f"{name}.npy"
    array = np.load(path)
    array[place] += change
    np.save(path, array)
    ran = run(program, exported / "step.onnx", copy)
    assert ran.returncode == 1
    assert f"{RECORDED - 1} of {RECORDED} frames agree" in ran.stdout


def test_a_turn_more_is_the_same_yaw(program, exported, copy):
    path = copy / "000000" / "expected" / "objects.npy"
    objects = np.load(path)
    objects[:, 9] += 2 * np.pi
    np.save(path, objects)
    assert run(program, exported / "step.onnx", copy).returncode == 0


def test_an_object_that_is_missing_is_seen(program, exported, copy):
    path = copy / "000000" / "expected" / "objects.npy"
    np.save(path, np.load(path)[1:])
    assert run(program, exported / "step.onnx", copy).returncode == 1


@pytest.mark.parametrize(("late_us", "status"), [(0, 0), (6_500_000, 1)])
def test_memory_ends_where_time_runs_back_and_not_where_it_goes_on(
    program, exported, copy, late_us, status
):
    """The second drive under the name of the first one, at its own times and just after it."""
    path = copy / "frames.txt"
    lines = [line.split(" ", 2) for line in path.read_text().splitlines()]
    second = lines[RECORDED // 2 :]
    for line in second:
        line[1:] = [str(int(line[1]) + late_us), lines[0][2]]
    path.write_text("\n".join(map(" ".join, lines)) + "\n")
    assert run(program, exported / "step.onnx", copy).returncode == status


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("settings.txt", None, "settings.txt is missing or empty"),
        ("settings.txt", "classes car\n", "settings.txt lacks config.max_gap_s"),
        ("frames.txt", None, "holds no frames"),
        ("000000/inputs/images.npy", None, "the graph needs images, which was not recorded"),
        ("000000/inputs/images.npy", "\x93NUMPY", "images.npy is no .npy file"),
        ("000001/expected/objects.npy", None, "objects.npy is no .npy file"),
    ],
)
def test_what_cannot_be_read_is_named(program, exported, copy, name, content, message):
    path = copy / name
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="latin-1")
    ran = run(program, exported / "step.onnx", copy)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert ran.stderr.startswith("error: ")


def test_an_array_that_ends_early_is_not_read(program, exported, copy):
    path = copy / "000002" / "inputs" / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    ran = run(program, exported / "step.onnx", copy)
    assert ran.returncode == 2
    assert "images.npy is no .npy file" in ran.stderr


def test_without_arguments_it_shows_its_usage(program):
    assert "usage: stream_drive EXPORTED/step.onnx RECORDED" in run(program).stderr

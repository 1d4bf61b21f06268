"""The C++ sample of `examples/cpp` finds over a recorded drive what Python found.

It is built where CMake finds ONNX Runtime for C++, for instance by the environment variable
CMAKE_PREFIX_PATH, and skipped elsewhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import partial

import numpy as np
import pytest

from tests.examples.conftest import SCRIPT
from tests.examples.recorded_drives import RECORDED

onnx = pytest.importorskip("onnx")
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


@pytest.mark.parametrize("name", ["objects", "map_logits"])
def test_what_is_not_a_number_is_a_difference(program, exported, copy, name):
    path = copy / "000004" / "expected" / f"{name}.npy"
    array = np.load(path)
    array[(0, 3) if name == "objects" else (0, 0, 0)] = np.nan
    np.save(path, array)
    ran = run(program, exported / "step.onnx", copy)
    assert ran.returncode == 1
    assert f"{RECORDED - 1} of {RECORDED} frames agree" in ran.stdout
    assert re.search(rf"{'objects' if name == 'objects' else 'map'} inf", ran.stdout)


def test_a_map_that_the_graph_does_not_give_is_a_difference(program, exported, copy, tmp_path):
    without = onnx.load(exported / "step.onnx")
    kept = [value for value in without.graph.output if value.name != "map_logits"]
    del without.graph.output[:]
    without.graph.output.extend(kept)
    onnx.save(without, tmp_path / "without.onnx")
    ran = run(program, tmp_path / "without.onnx", copy)
    assert ran.returncode == 1
    assert f"0 of {RECORDED} frames agree" in ran.stdout


def graph_of(inputs, outputs):
    """A graph that gives each output the value of the first input."""
    value = partial(onnx.helper.make_tensor_value_info, elem_type=1, shape=[2])
    nodes = [onnx.helper.make_node("Identity", inputs[:1], [name]) for name in outputs]
    graph = onnx.helper.make_graph(nodes, "step", [*map(value, inputs)], [*map(value, outputs)])
    opset = onnx.helper.make_opsetid("", 18)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["images"], ["bev"], "is a part of a step"),
        (["bev"], ["map_logits", "next_bev"], "leapai export --graphs step"),
        (["images"], ["labels"], "gives neither class_logits nor map_logits"),
        (["images"], ["class_logits"], "has class_logits and gives no boxes"),
    ],
)
def test_a_graph_that_is_no_step_is_refused(program, copy, tmp_path, inputs, outputs, message):
    onnx.save(graph_of(inputs, outputs), tmp_path / "other.onnx")
    ran = run(program, tmp_path / "other.onnx", copy)
    assert ran.returncode == 2
    assert "other.onnx" in ran.stderr
    assert message in ran.stderr


def test_a_sequence_without_a_name_is_one(program, exported, copy):
    path = copy / "frames.txt"
    lines = [line.split(" ", 2) for line in path.read_text().splitlines()]
    for line in lines[: RECORDED // 2]:
        line[2] = ""
    path.write_text("\n".join(map(" ".join, lines)) + "\n")
    ran = run(program, exported / "step.onnx", copy)
    assert ran.returncode == 0, ran.stderr
    assert f"{RECORDED} of {RECORDED} frames agree" in ran.stdout


def second_line(change):
    """Returns an edit of frames.txt that changes its second line."""

    def edit(text):
        lines = text.splitlines()
        lines[1:2] = change(lines[1])
        return "\n".join(lines) + "\n"

    return edit


def setting(name, value):
    """Returns an edit of settings.txt that gives a setting another value."""
    return lambda text: re.sub(rf"^{re.escape(name)} .*$", f"{name} {value}", text, flags=re.M)


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("frames.txt", second_line(lambda line: [line.replace(" ", " x", 1)]), "frames.txt:2: is"),
        ("frames.txt", second_line(lambda line: [line.split()[0]]), "frames.txt:2: is no folder"),
        ("frames.txt", second_line(lambda _: [""]), "frames.txt:2: is no folder"),
        ("frames.txt", second_line(lambda _: ["000001 9223372036854775807 x"]), "frames.txt:2: is"),
        (
            "frames.txt",
            second_line(lambda _: []),
            f"frames.txt has {RECORDED - 1} of the {RECORDED}",
        ),
        ("settings.txt", setting("frames", "none"), "settings.txt: frames holds 'none'"),
        ("settings.txt", setting("classes", "car"), "settings.txt: classes names not as many"),
        ("settings.txt", setting("config.max_gap_s", "nan"), "config.max_gap_s holds 'nan'"),
        ("settings.txt", setting("config.max_gap_s", "-1"), "config.max_gap_s holds '-1'"),
        ("settings.txt", setting("config.max_gap_s", "1 2"), "config.max_gap_s needs 1 values"),
        ("settings.txt", setting("config.static.memory_frames", "1"), "memory_frames holds '1'"),
        ("settings.txt", setting("config.static.memory_frames", "2.5"), "is no whole number"),
        ("settings.txt", setting("config.static.past_s", "0.2"), "past_s has not as many values"),
        ("settings.txt", setting("config.static.past_s", "0.2 0.4s"), "past_s holds '0.4s'"),
        ("settings.txt", setting("config.static.tolerance_s", "inf"), "tolerance_s holds 'inf'"),
        (
            "settings.txt",
            setting("config.evaluation.max_detections", "-1"),
            "detections holds '-1'",
        ),
        ("settings.txt", setting("config.bev.x_range_m", "-22"), "x_range_m needs 2 values"),
    ],
)
def test_a_text_that_was_damaged_is_refused(program, exported, copy, name, edit, message):
    path = copy / name
    before = path.read_text()
    path.write_text(edit(before))
    assert path.read_text() != before
    ran = run(program, exported / "step.onnx", copy)
    assert ran.returncode == 2, ran.stdout[-500:]
    assert message in ran.stderr


def header_of(shape, kind="|u1"):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header_of(" " * 65_000 + "1,") + b"x", "images.npy is no .npy file"),
        (header_of("1000000000000000,") + b"x", "images.npy is no .npy file"),
        (header_of("4294967296, 4294967296, 3"), "images.npy is no .npy file"),
        (header_of("99999999999999999999,"), "images.npy is no .npy file"),
        (header_of("1, , 1") + b"x", "images.npy is no .npy file"),
        (header_of("1,", "<f8") + bytes(8), "the input images is recorded as f8"),
    ],
    ids=["long header", "absurd length", "overflow", "no integer", "empty length", "type"],
)
def test_a_header_is_not_trusted(program, exported, copy, content, message):
    (copy / "000000" / "inputs" / "images.npy").write_bytes(content)
    ran = run(program, exported / "step.onnx", copy)
    assert ran.returncode == 2, ran.stderr[-500:]
    assert message in ran.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("settings.txt", None, "settings.txt is missing or empty"),
        ("settings.txt", "classes car\n", "settings.txt lacks config.max_gap_s"),
        ("frames.txt", None, f"frames.txt has 0 of the {RECORDED} frames"),
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

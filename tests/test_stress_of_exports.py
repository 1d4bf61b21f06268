"""`leapai stress` of exported networks: ONNX Runtime in the place of PyTorch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from rich.console import Console  # noqa: E402

from leapai.checkpoints import read_checkpoint  # noqa: E402
from leapai.config.stress_options import StressOptions  # noqa: E402
from leapai.runs import run_inputs  # noqa: E402
from leapai.runs.history import read_runs  # noqa: E402
from leapai.runs.stress_folder import read_stress  # noqa: E402
from leapai.runtime.exported_network import ExportedNetwork  # noqa: E402
from leapai.stress import run_stress  # noqa: E402
from leapai.types import Labels  # noqa: E402
from tests.runtime.exported import WITHOUT_PYTORCH, edited, with_graph, write_export  # noqa: E402
from tests.scenes import small_config  # noqa: E402
from tests.training.runs import StubLog  # noqa: E402

COMMAND = f"""{WITHOUT_PYTORCH}
from leapai.cli import main

sys.exit(main(sys.argv[1:]))
"""
CAR = np.array([[20.0, 5.0, 1.0, 4.0, 2.0, 1.5, 0.0]])
"""The one object of each frame, in its ego frame."""


def finds_the_car_by_lidar(graph):
    """Changes a graph that gives zeros: all queries find the car, and nothing without the LiDAR."""
    bev = small_config().bev
    low, high = np.array([bev.x_range_m, bev.y_range_m, bev.z_range_m]).T
    queries, classes = small_config().dynamic.queries, len(small_config().vocabulary.names)
    box = [*(CAR[0, :3] - low) / (high - low), *CAR[0, 3:6], 0, 1, 0, 0, 0]
    # Sure of the first class where the LiDAR is valid; of none where it is not.
    bias = np.full((1, queries, classes), -8, np.float32)
    gain = np.zeros_like(bias)
    gain[..., 0] = 16
    values = {
        "boxes": np.tile(np.array(box, np.float32), (1, queries, 1)),
        "bias": bias,
        "gain": gain,
    }
    kept = [node for node in graph.node if node.output[0] not in ("boxes", "class_logits")]
    kept += [
        onnx.helper.make_node("Cast", ["lidar_valid"], ["works"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Mul", ["works", "gain"], ["gained"]),
        onnx.helper.make_node("Add", ["gained", "bias"], ["class_logits"]),
        onnx.helper.make_node("Identity", ["all_boxes"], ["boxes"]),
    ]
    for name, array in values.items():
        stored = {"boxes": "all_boxes"}.get(name, name)
        graph.initializer.append(onnx.numpy_helper.from_array(array, stored))
    del graph.node[:]
    graph.node.extend(kept)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    zeros = write_export(folder, small_config())
    model = onnx.load(zeros / "step.onnx")
    finds_the_car_by_lidar(model.graph)
    target = tmp_path_factory.mktemp("exported")
    with_graph(zeros, target, model.SerializeToString())
    (target / "model.ckpt").write_bytes((folder / "model.ckpt").read_bytes())
    return target


@pytest.fixture
def drives(monkeypatch):
    labels = Labels.unlabelled(CAR, np.zeros(1, np.int64))
    logs = [StubLog(0, 2, change=lambda _, frame: replace(frame, labels=labels))]
    monkeypatch.setattr(run_inputs, "open_logs", lambda data, **_: list(logs))


def stress(network, output, *only):
    console = Console(record=True, width=200, file=io.StringIO())
    options = StressOptions(output=output, data="made up", quick=True, only=only)
    return run_stress(network.config, options, network, console), console.export_text()


@pytest.mark.usefixtures("drives")
def test_what_an_exported_network_loses_is_measured_by_its_own_graph(exported, tmp_path):
    network = ExportedNetwork(exported, "cpu")
    summary, text = stress(network, tmp_path / "run", "lost_lidar", "dark")
    rows = {result.name: result.scores for result in read_stress(tmp_path / "run").results}
    assert rows["clean"].mean_ap == pytest.approx(1.0)
    assert rows["dark_2"].relative == pytest.approx(1.0)
    assert rows["lost_lidar"].relative == 0.0
    assert summary.exported_weights == "float32"
    assert f"as float32, in {exported}; SHA-256 of its manifest" in text
    assert summary.exported_sha256[:12] in (tmp_path / "run" / "report.html").read_text()
    (line,) = read_runs(tmp_path / "runs.parquet")
    assert line.exported_sha256 == summary.exported_sha256
    assert line.exported_weights == "float32"


@pytest.mark.usefixtures("drives")
def test_results_of_another_export_and_of_the_checkpoint_are_not_mixed_in(exported, tmp_path):
    output, other = tmp_path / "run", tmp_path / "other"
    other.mkdir()
    edited(exported, other, lambda content: content.update(job_name="exported_again"))
    network = ExportedNetwork(exported, "cpu")
    first, _ = stress(network, output, "dark")
    again, text = stress(network, output, "dark")
    assert again.clean == first.clean
    assert "all results are there" in text
    with pytest.raises(ValueError, match=r"of other settings \(exported_sha256 was \w+ and is \w+"):
        stress(ExportedNetwork(other, "cpu"), output, "dark")
    checkpoint = read_checkpoint(exported / "model.ckpt")
    assert checkpoint.sha256 == network.sha256
    with pytest.raises(ValueError, match=r"exported_sha256 was \w+ and is None\)"):
        stress(checkpoint, output, "dark")


def test_the_command_takes_the_folder_and_needs_no_pytorch(exported, tmp_path):
    arguments = ["stress", exported, "--data", "synthetic:drives=1,frames=2,rate_hz=4"]
    options = ["--max-frames", "1", "--only", "lost_lidar"]
    ran = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    written = tmp_path / "outputs" / "stress_small_float32"
    summary = json.loads((written / "stress.json").read_text())
    assert summary["weights"] == str(exported)
    assert summary["conditions"] == 2
    assert "torch" not in summary["versions"]


def test_variables_of_the_graph_cannot_be_set(exported, tmp_path):
    network = ExportedNetwork(exported, "cpu")
    options = StressOptions(output=tmp_path / "run", data="made up")
    with pytest.raises(ValueError, match="topk_query cannot be changed in an exported network"):
        run_stress(network.config.replace(topk_query=4), options, network)

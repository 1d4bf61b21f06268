"""Sessions of ONNX Runtime: the device that is asked for, threads, and graphs that are whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from leapai.runtime import onnx_graph  # noqa: E402
from leapai.runtime.manifest import LAYOUT, read_manifest  # noqa: E402
from leapai.runtime.onnx_graph import GraphChain  # noqa: E402
from tests.runtime.exported import edited, with_graph, write_export  # noqa: E402
from tests.scenes import static_config  # noqa: E402

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("map"), static_config())


class Runtime:
    """An ONNX Runtime that has CUDA and TensorRT, which start or do not."""

    def __init__(self, *started: str) -> None:
        import onnxruntime

        self.real, self.started = onnxruntime, list(started)
        self.SessionOptions = onnxruntime.SessionOptions

    def get_available_providers(self):
        return [TENSORRT, CUDA, CPU]

    def InferenceSession(self, graph, options, providers):
        self.providers, self.threads = providers, options.intra_op_num_threads
        session = self.real.InferenceSession(graph, options, providers=[CPU])
        return SimpleNamespace(
            get_inputs=session.get_inputs,
            get_outputs=session.get_outputs,
            get_providers=lambda: self.started,
        )


def opened(exported, monkeypatch, device, *started, engine_cache=None):
    runtime = Runtime(*started)
    monkeypatch.setattr(onnx_graph, "import_extra", lambda *_: runtime)
    return GraphChain(exported, read_manifest(exported), device, engine_cache), runtime


def test_a_named_gpu_that_does_not_start_is_refused(exported, monkeypatch):
    with pytest.raises(ValueError, match=f"device cuda: {CUDA} does not start here, only {CPU}"):
        opened(exported, monkeypatch, "cuda", CPU)


@pytest.mark.parametrize(("started", "device"), [((CPU,), "cpu"), ((CUDA, CPU), "cuda")])
def test_without_a_name_the_device_is_the_one_that_runs(exported, monkeypatch, started, device):
    graph, _ = opened(exported, monkeypatch, None, *started)
    assert graph.device == device


def test_the_number_of_a_gpu_reaches_the_runtime(exported, monkeypatch):
    graph, runtime = opened(exported, monkeypatch, "cuda:1", CUDA, CPU)
    assert graph.device == "cuda:1"
    assert runtime.providers == [(CUDA, {"device_id": "1"}), (CPU, {})]


def bounded(content):
    content["lengths"] = {
        "P": {"least": 2, "usual": 900, "most": 5000},
        "M": {"least": 2, "usual": 300, "most": 700},
    }


def test_tensorrt_gets_the_bounds_of_all_inputs_of_free_length(exported, tmp_path, monkeypatch):
    folder = edited(exported, tmp_path, bounded)
    heights = len(static_config().camera.heights_m)
    _, runtime = opened(folder, monkeypatch, "tensorrt:1", TENSORRT, CUDA, CPU)
    (name, options), *others = runtime.providers
    assert name == TENSORRT
    assert others == [(CUDA, {"device_id": "1"}), (CPU, {})]
    assert options.pop("device_id") == "1"
    shapes = {
        name: dict(each.split(":") for each in stated.split(","))
        for name, stated in options.items()
    }
    assert set(shapes) == {f"trt_profile_{each}_shapes" for each in ("min", "opt", "max")}
    for profile, points, pairs in (("min", 2, 2), ("opt", 900, 300), ("max", 5000, 700)):
        assert shapes[f"trt_profile_{profile}_shapes"] == {
            "points": f"{points}x5",
            "point_pillar": f"{points}",
            "pair_map": f"{pairs}",
            "pair_cell": f"{pairs}",
            "anchor": f"{pairs}x{heights}x2",
            "anchor_seen": f"{pairs}x{heights}",
        }


def test_tensorrt_gets_bounds_for_those_parts_that_take_a_free_length(tmp_path, monkeypatch):
    folder = write_export(tmp_path, static_config(), division="parts")
    made = []
    real = Runtime.InferenceSession

    def session(self, graph, options, providers):
        made.append((Path(graph).name, [*providers[0][1]]))
        return real(self, graph, options, providers)

    monkeypatch.setattr(Runtime, "InferenceSession", session)
    opened(folder, monkeypatch, "tensorrt", TENSORRT)
    profiles = [f"trt_profile_{each}_shapes" for each in ("min", "opt", "max")]
    assert made == [("trunk.onnx", profiles), ("static.onnx", [])]


def test_engines_of_one_graph_are_kept_apart_from_those_of_others(exported, tmp_path, monkeypatch):
    cache, changed = tmp_path / "engines", tmp_path / "changed"
    changed.mkdir()
    graph = (exported / "step.onnx").read_bytes()
    other = with_graph(exported, changed, graph + b"\x32\x01n")  # a documentation string
    paths = []
    for folder in (exported, other, exported):
        runtime = opened(folder, monkeypatch, "tensorrt", TENSORRT, engine_cache=cache)[1]
        options = runtime.providers[0][1]
        assert options["trt_engine_cache_enable"] == "True"
        paths.append(Path(options["trt_engine_cache_path"]))
    assert paths[0] == paths[2] != paths[1]
    assert all(path.is_dir() and path.parent == cache for path in paths)


@pytest.mark.parametrize("device", [None, "cpu", "cuda"])
def test_a_cache_of_engines_without_tensorrt_is_refused(exported, tmp_path, monkeypatch, device):
    with pytest.raises(ValueError, match=r"engine_cache .* is of the device tensorrt alone"):
        opened(exported, monkeypatch, device, CUDA, CPU, engine_cache=tmp_path / "engines")
    assert not (tmp_path / "engines").exists()


def test_a_cache_that_cannot_be_made_is_named(exported, tmp_path, monkeypatch):
    (tmp_path / "engines").write_text("mine")
    with pytest.raises(OSError, match=r"engine_cache .*engines: .* cannot be made"):
        opened(exported, monkeypatch, "tensorrt", TENSORRT, engine_cache=tmp_path / "engines")


@pytest.mark.parametrize("device", ["cpu:1", "cuda:", "cuda:one", "cuda:-1"])
def test_a_number_that_is_none_is_refused(exported, monkeypatch, device):
    with pytest.raises(ValueError, match=f"device '{device}': only a GPU has a number"):
        opened(exported, monkeypatch, device, CUDA, CPU)


@pytest.mark.parametrize(("stated", "threads"), [("2,1", 2), ("3", 3), ("", 0)])
def test_threads_are_the_first_number_of_openmp(exported, monkeypatch, stated, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", stated)
    assert opened(exported, monkeypatch, "cuda", CUDA)[1].threads == threads


def test_threads_that_are_no_number_are_named(exported, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="OMP_NUM_THREADS='many' must be a whole number"):
        opened(exported, monkeypatch, "cuda", CUDA)


@pytest.mark.parametrize("length", [b"\x08", b"\x88\x00", b"\x88\x80\x80\x00"])
def test_a_graph_with_tensors_in_other_files_is_refused(exported, tmp_path, length):
    model = onnx.load(exported / "step.onnx")
    shape = model.graph.initializer[0]
    (tmp_path / "weights.bin").write_bytes(shape.raw_data or bytes(64))
    shape.ClearField("int64_data")
    shape.data_location = onnx.TensorProto.EXTERNAL
    shape.external_data.add(key="location", value="weights.bin")
    graph = model.SerializeToString()
    assert graph.count(b"\x08location") == 1
    folder = with_graph(exported, tmp_path, graph.replace(b"\x08location", length + b"location"))
    with pytest.raises(ValueError, match=r"step\.onnx keeps tensors in other files"):
        GraphChain(folder, read_manifest(folder))


def test_another_layout_is_named_before_its_unknown_names(exported, tmp_path):
    folder = edited(
        exported, tmp_path, lambda content: content.update(layout=LAYOUT + 1, skeleton={})
    )
    with pytest.raises(
        ValueError, match=f"has layout {LAYOUT + 1}, and .* reads {LAYOUT}: export again"
    ):
        read_manifest(folder)

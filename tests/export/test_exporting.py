"""A checkpoint becomes a graph that ONNX Runtime runs as PyTorch runs the network."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from google.protobuf import text_format  # noqa: E402

import leapai  # noqa: E402
from leapai.checkpoints import read_checkpoint, save_checkpoint  # noqa: E402
from leapai.config import CameraConfig, DynamicConfig, LidarConfig  # noqa: E402
from leapai.data.log import DrivingLog  # noqa: E402
from leapai.export import calibration_frames, exporting  # noqa: E402
from leapai.export.exporting import traced, write  # noqa: E402
from leapai.export.graph_export import OPSET, StepForm  # noqa: E402
from leapai.runtime.exported_network import ExportedNetwork  # noqa: E402
from leapai.runtime.host_memory import HostMemory  # noqa: E402
from leapai.runtime.manifest import LAYOUT, WeightFacts, read_manifest, write_manifest  # noqa: E402
from leapai.streaming.session import StreamSession  # noqa: E402
from leapai.streaming.stream import Stream  # noqa: E402
from tests.export.triton_schema import model_config  # noqa: E402
from tests.runtime.exported import WITHOUT_PYTORCH  # noqa: E402
from tests.scenes import IMAGE_SIZE_PX, joint_config, make_frame, seeded_model  # noqa: E402

pytestmark = pytest.mark.timeout(900)  # tracing takes 20 s of one core, which others may share
FRAMES = 22
HUGE = {"name": "query", "type": "float32", "shape": [1 << 20, 1 << 20], "meaning": "none"}
CONFIG = joint_config(
    camera=CameraConfig(
        image_size_px=IMAGE_SIZE_PX,
        backbone="resnetv2_18",
        backbone_args={"width_factor": 0.125},
        heads=2,
        depth_bins=6,
        shared=True,
    ),
    lidar=LidarConfig(
        pillar_m=0.8, max_pillars=500, pillar_channels=8, middle_channels=8, intensity="ground"
    ),
    dynamic=DynamicConfig(
        neck_channels=16,
        queries=24,
        embed=16,
        heads=2,
        points=4,
        ffn=16,
        layers=1,
        confidence={"cameras_alone": (0.8, -0.5), "lidar_alone": (1.1, 0.2)},
    ),
    memory_interval_s=0.15,
    evaluation={"min_score": 0.0},
    tracking={"sure_score": 0.0, "birth_score": 0.01},
)


@pytest.fixture(scope="module")
def network():
    return seeded_model(CONFIG)


@pytest.fixture(scope="module")
def step(network, tmp_path_factory):
    """The step, traced once, as that takes long."""
    path = tmp_path_factory.mktemp("checkpoint") / "model.ckpt"
    save_checkpoint(path, network, CONFIG)
    return traced(read_checkpoint(path))


@pytest.fixture(scope="module")
def exported(step, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    write(step, folder, "onnx")
    return folder


@pytest.fixture
def translated(exported, monkeypatch):
    """The translation to ONNX, done once, as that takes long, too."""
    monkeypatch.setattr(exporting, "onnx_of", lambda *_: onnx.load(exported / "step.onnx"))


def drive():
    """A drive with sensors that fail for a frame each, and a gap."""
    for index in range(FRAMES):
        frame = make_frame(index)
        cameras = frame.cameras
        if index == 4:
            cameras = tuple(
                replace(c, image=None) if n in (2, 4) else c for n, c in enumerate(cameras)
            )
        if index == 6:
            cameras = tuple(replace(camera, image=None) for camera in cameras)
        late_us = 5_000_000 * (index >= 15)
        yield replace(
            frame,
            cameras=tuple(replace(c, timestamp_us=c.timestamp_us + late_us) for c in cameras),
            points=None if index == 8 else frame.points,
            timestamp_us=frame.timestamp_us + late_us,
        )


def test_a_drive_gives_the_same_objects_ids_map_and_health(network, exported):
    eager = StreamSession(network, CONFIG)
    other = leapai.load(exported, device="cpu").session
    ids = 0
    for frame in drive():
        one, two = eager.step(frame), other.step(frame)
        found, again = one.detections, two.detections
        assert again.track_id.tolist() == found.track_id.tolist()
        assert again.class_id.tolist() == found.class_id.tolist()
        assert again.occlusion_level.tolist() == found.occlusion_level.tolist()
        np.testing.assert_allclose(again.score, found.score, atol=1e-3)
        np.testing.assert_allclose(again.boxes, found.boxes, atol=1e-3)
        np.testing.assert_allclose(again.velocity_mps, found.velocity_mps, atol=1e-3)
        np.testing.assert_allclose(two.map_logits, one.map_logits, atol=1e-2)
        assert two.health == one.health
        assert_same_memory(two.state, one.state)
        ids += (found.track_id >= 0).sum()
    assert ids > 10 * FRAMES


@pytest.fixture(scope="module")
def parts(network, tmp_path_factory):
    """The parts of the step, traced once, and their export."""
    folder = tmp_path_factory.mktemp("parts")
    save_checkpoint(folder / "model.ckpt", network, CONFIG)
    traced_parts = traced(read_checkpoint(folder / "model.ckpt"), StepForm(division="parts"))
    write(traced_parts, folder / "onnx", "onnx")
    return traced_parts, folder / "onnx"


def test_parts_one_after_another_give_what_the_one_graph_gives(exported, parts):
    one, two = (leapai.load(folder, device="cpu").session for folder in (exported, parts[1]))
    ids = 0
    for frame in drive():
        whole, chained = one.step(frame), two.step(frame)
        found, again = whole.detections, chained.detections
        assert again.track_id.tolist() == found.track_id.tolist()
        assert again.class_id.tolist() == found.class_id.tolist()
        np.testing.assert_allclose(again.boxes, found.boxes, atol=1e-4)
        np.testing.assert_allclose(chained.map_logits, whole.map_logits, atol=1e-4)
        assert chained.health == whole.health
        assert_same_slots(chained.state, whole.state)
        ids += (found.track_id >= 0).sum()
    assert ids > 10 * FRAMES


def assert_same_slots(ours, theirs):
    """Two memories of hosts hold the same, to rounding."""
    assert ours.slots.keys() == theirs.slots.keys()
    for name, array in ours.slots.items():
        np.testing.assert_allclose(array, theirs.slots[name], atol=1e-3, err_msg=name)
    times = [[kept.timestamp_us for kept in each.ring] for each in (ours, theirs)]
    assert times[0] == times[1]


class EveryThird:
    """A map that is made in every third frame, and else is that of the last one."""

    def __init__(self, graph):
        self.graph, self.frames = graph, 0

    def __call__(self, inputs):
        if self.frames % 3 == 0:
            self.last = self.graph(inputs)
        else:
            self.last["next_bev_is_finite"] = np.zeros(1, bool)  # keeps it out of the memory
        self.frames += 1
        return dict(self.last)


def test_a_map_at_a_lower_rate_leaves_the_objects_as_they_are(parts):
    one, two = (leapai.load(parts[1], device="cpu") for _ in range(2))
    graphs = two.session.network.graphs
    graphs["static"] = every_third = EveryThird(graphs["static"])
    for sequence in ("one", "another"):
        every_third.frames = 0
        for index, made in enumerate(list(drive())[:5]):
            frame = replace(made, sequence=sequence)
            np.testing.assert_array_equal(two.step(frame).boxes, one.step(frame).boxes)
            same = (one.last.map_logits == two.last.map_logits).all()
            assert same == (index == 0), "the first frame of a drive has a map of its own"
            times = [kept.timestamp_us for kept in two.state.memory.ring]
            assert times == [make_frame(n).timestamp_us for n in (0, 3) if n <= index]


def test_programs_of_parts_give_what_the_step_gives(parts, tmp_path):
    made = write(parts[0], tmp_path, "pt2")
    assert [each.file for each in made.graphs] == ["trunk.pt2", "dynamic.pt2", "static.pt2"]
    static, program = parts[0].graphs[2], torch.export.load(tmp_path / "static.pt2")
    assert all(name.startswith("model.bev_static") for name in program.state_dict)
    assert program.example_inputs is None, "they would be larger than the weights"
    outputs = program.module()(list(static.inputs.values()))
    for (name, expected), found in zip(static.outputs.items(), outputs, strict=True):
        torch.testing.assert_close(found, expected, msg=name)
    with pytest.raises(ValueError, match=r"trunk\.pt2: .* pickles"):
        leapai.load(tmp_path)


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_a_trunk_of_another_export_takes_the_place_of_its_own(parts, tmp_path, monkeypatch, kind):
    """Weights of each type are of each part: the trunk alone is taken."""
    steps, folder = parts
    written = [onnx.load(folder / f"{graph.name}.onnx") for graph in steps.graphs]
    translated = iter(written)
    monkeypatch.setattr(exporting, "onnx_of", lambda *_: next(translated))
    monkeypatch.setattr(calibration_frames, "MOST_FRAMES", 2)
    source = f"{SOURCE}drives" if kind == "int8" else None
    made = write(steps, tmp_path, "onnx", WeightFacts(type=kind, calibration=source))
    assert [each.weights.type for each in made.graphs] == [kind] * 3
    assert made.graphs[2].weights.frames == (2 if source else None)
    for name in ("dynamic", "static"):
        graph = onnx.load(tmp_path / f"{name}.onnx").graph
        kinds = {tensor.data_type for tensor in graph.initializer}
        assert getattr(onnx.TensorProto, kind.upper()) in kinds
        (tmp_path / f"{name}.onnx").write_bytes((folder / f"{name}.onnx").read_bytes())
    theirs = read_manifest(folder).graphs[1:]
    write_manifest(
        tmp_path / "manifest.json",
        made.model_copy(update={"graphs": (made.graphs[0], *theirs)}),
    )
    one, two = (leapai.load(each, device="cpu") for each in (folder, tmp_path))
    mixed = two.session.network.manifest
    assert [each.weights.type for each in mixed.graphs] == [kind, "float32", "float32"]
    assert mixed.weights.type == kind, "an export is named by the smallest type"
    for frame in list(drive())[:3]:
        one.step(frame), two.step(frame)
        maps = [stream.last.map_logits.ravel() for stream in (one, two)]
        assert 0.98 < np.corrcoef(*maps)[0, 1] < 1


def assert_same_memory(host, state):
    """The memory that the host keeps is that of the network."""
    valid = state.valid.numpy()
    assert (host.slots["valid"] == valid).all()
    for name in ("track_id", "timestamp_us", "query_index", "class_id"):
        ours, theirs = host.slots[name], getattr(state, name).numpy()
        assert (ours[valid] == theirs[valid]).all(), name
    kept = sorted(state.static.timestamp_us[state.static.valid].tolist())
    assert [features.timestamp_us for features in host.ring] == kept
    assert host.last_timestamp_us == int(state.last_timestamp_us)


STREAMING = (
    WITHOUT_PYTORCH
    + """
import json, pickle
import leapai
import leapai.prediction, leapai.validation, leapai.evaluation.evaluate_logs

frames = pickle.load(open(sys.argv[2], "rb"))
stream = leapai.load(sys.argv[1])
found = [stream.step(frame) for frame in frames]
print(json.dumps({
    "track_id": [each.track_id.tolist() for each in found],
    "boxes": [each.boxes.tolist() for each in found],
    "health": [repr(each.health) for each in found],
    "map": float(stream.map.probability.sum()),
    "slots": len(stream.last.memory_slots.class_id),
}))
"""
)


def test_a_process_that_cannot_import_pytorch_gives_the_same(network, exported, tmp_path):
    frames = list(drive())[:8]
    (tmp_path / "frames.pickle").write_bytes(pickle.dumps(frames))
    command = [sys.executable, "-c", STREAMING, exported, tmp_path / "frames.pickle"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    stream = Stream(StreamSession(network, CONFIG))
    for index, frame in enumerate(frames):
        expected = stream.step(frame)
        assert found["track_id"][index] == expected.track_id.tolist()
        np.testing.assert_allclose(found["boxes"][index], expected.boxes, atol=1e-3)
        assert found["health"][index] == repr(expected.health)
    assert found["map"] == pytest.approx(float(stream.map.probability.sum()), rel=1e-4)
    assert found["slots"] == len(stream.last.memory_slots.class_id) > 0


def test_a_program_of_pytorch_gives_the_same(step, tmp_path):
    write(step, tmp_path, "pt2")
    program = torch.export.load(tmp_path / "step.pt2").module()
    outputs = program(list(step.inputs.values()))
    for (name, expected), found in zip(step.outputs.items(), outputs, strict=True):
        torch.testing.assert_close(found, expected, msg=name)
    with pytest.raises(ValueError, match=r"step\.pt2: .* pickles"):
        leapai.load(tmp_path)


def test_the_graph_has_no_double_and_the_stated_operators(exported):
    model = onnx.load(exported / "step.onnx")
    onnx.checker.check_model(model)
    graph = onnx.shape_inference.infer_shapes(model).graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    assert onnx.TensorProto.DOUBLE not in kinds.values()
    chosen = [kinds.get(n.output[0]) for n in graph.node if n.op_type == "Where"]
    assert chosen
    assert onnx.TensorProto.BOOL not in chosen
    assert {o.version for o in model.opset_import if o.domain == ""} == {OPSET}


def test_the_graph_holds_no_path_of_the_machine_that_exported(exported):
    content = (exported / "step.onnx").read_bytes()
    assert b"stack_trace" not in content
    assert b"site-packages" not in content
    assert b"export/step_graph" not in content


def test_weights_in_float16_halve_the_graph_and_find_the_same(step, exported, translated, tmp_path):
    made = write(step, tmp_path, "onnx", WeightFacts(type="float16"))
    assert made == read_manifest(tmp_path)
    assert made.weights == WeightFacts(type="float16")
    model = onnx.load(tmp_path / "step.onnx")
    onnx.checker.check_model(model)
    kept = {t.name: t.data_type for t in model.graph.initializer}
    assert kept["model.view_transfer.cell_embedding_float16"] == onnx.TensorProto.FLOAT16
    places = [kind for name, kind in kept.items() if "reference" in name]
    assert onnx.TensorProto.FLOAT16 not in places
    sizes = [sum(map(weight_bytes, each.graph.initializer)) for each in (load(exported), model)]
    assert sizes[1] < 0.6 * sizes[0]
    one, two = (leapai.load(folder, device="cpu") for folder in (exported, tmp_path))
    for frame in list(drive())[:4]:
        found, again = one.step(frame), two.step(frame)
        assert again.class_id.tolist() == found.class_id.tolist()
        np.testing.assert_allclose(again.boxes, found.boxes, atol=0.02)
        assert (again.boxes != found.boxes).any()


def load(folder):
    return onnx.load(folder / "step.onnx")


def weight_bytes(tensor):
    is_float = tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    return onnx.numpy_helper.to_array(tensor).nbytes if is_float else 0


def open_drive(location, options):
    """A data source of frames of `drive`."""
    return [FewFrames(f"drive {number}") for number in range(2)]


class FewFrames(DrivingLog):
    vocabulary = CONFIG.vocabulary

    def __init__(self, name):
        self.name, self.frames = name, list(drive())[:7]

    @property
    def timestamps_us(self):
        return np.array([frame.timestamp_us for frame in self.frames])

    def __getitem__(self, index):
        return replace(self.frames[index], sequence=self.name)


SOURCE = f"{__name__}:open_drive:"


def test_convolutions_in_int8_are_calibrated_and_find_nearly_the_same(
    step, exported, translated, tmp_path
):
    made = write(
        step,
        tmp_path,
        "onnx",
        WeightFacts(type="int8", calibration=f"{SOURCE}/home/anna/drives,rate_hz=2"),
    )
    stored = f"{SOURCE}drives,rate_hz=2"  # no folder of the machine that exported
    assert made.weights == WeightFacts(type="int8", calibration=stored, frames=14)
    assert read_manifest(tmp_path) == made
    graph = load(tmp_path).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    by_output = {node.output[0]: node for node in graph.node}
    read = [n.input[1] for n in graph.node if n.op_type == "Conv"]
    of_images = [name for name in read if name in kinds]
    assert of_images == ["model.stage1_backbone0.net.stem_conv.weight"]
    for name in set(read) - set(of_images):
        assert kinds[by_output[name].input[0]] == onnx.TensorProto.INT8, name
    one, two = (leapai.load(folder, device="cpu") for folder in (exported, tmp_path))
    for frame in list(drive())[:4]:
        one.step(frame), two.step(frame)
        maps = [stream.last.map_logits.ravel() for stream in (one, two)]
        assert 0.98 < np.corrcoef(*maps)[0, 1] < 1 - 1e-7


def test_a_triton_server_that_keeps_the_state_gives_the_same_objects(
    step, exported, translated, tmp_path
):
    write(step, tmp_path, "triton")
    config = text_format.Parse((tmp_path / "config.pbtxt").read_text(), model_config())
    reference, client = leapai.load(exported, device="cpu"), Client(tmp_path / "1", "cpu")
    client.serve(config)
    session = StreamSession(client, CONFIG)
    for frame in list(drive())[:8]:
        expected, found = reference.step(frame), session.step(frame).detections
        assert found.track_id.tolist() == expected.track_id.tolist()
        np.testing.assert_array_equal(found.boxes, expected.boxes)
    assert (found.track_id >= 0).any()
    assert 0 < len(client.session_inputs) < len(client.manifest.inputs)


class Client(ExportedNetwork):
    """A host whose graph runs on a server that holds the state of the sequence."""

    def serve(self, config):
        graph, states = self.graph, config.sequence_batching.state
        names = [tensor.name for tensor in config.input]
        self.session_inputs = names
        kept = {s.input_name: s.output_name for s in states}
        held = {n: array for n, array in super().empty_memory().slots.items() if n in kept}

        def served(inputs):
            assert set(inputs) - set(held) == set(names)
            found = graph({name: inputs[name] for name in names} | held)
            held.update({name: found[after] for name, after in kept.items()})
            return {tensor.name: found[tensor.name] for tensor in config.output}

        self.returned = {tensor.name for tensor in config.output}
        self.graph = served

    def empty_memory(self):
        """What a client keeps: the fields of the memory that the server returns to it."""
        slots = super().empty_memory().slots
        if hasattr(self, "returned"):
            slots = {n: array for n, array in slots.items() if f"next_{n}" in self.returned}
        return HostMemory(slots)


def test_the_manifest_describes_the_graph(exported):
    manifest = read_manifest(exported)
    graph = onnx.load(exported / "step.onnx").graph
    for facts, values in ((manifest.inputs, graph.input), (manifest.outputs, graph.output)):
        assert [one.name for one in facts] == [value.name for value in values]
        for one, value in zip(facts, values, strict=True):
            lengths = [d.dim_value for d in value.type.tensor_type.shape.dim]
            assert [0 if isinstance(n, str) else n for n in one.shape] == lengths
            kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            assert one.type == kind.name
    assert manifest.classes == CONFIG.vocabulary.names
    assert manifest.cameras == {"front_narrow": 1, "front_wide": 1, "back": 1, "side": 4}


def test_a_rig_with_fewer_cameras_is_one_whose_other_cameras_failed(exported):
    frame = make_frame(0)
    failed = replace(frame, cameras=tuple(replace(c, image=None) for c in frame.cameras[:2]))
    kept = frame.cameras[2:]
    fewer, broken = (
        leapai.load(exported).step(replace(frame, cameras=cameras))
        for cameras in (kept, (*failed.cameras, *kept))
    )
    np.testing.assert_array_equal(fewer.boxes, broken.boxes)
    assert len(fewer) > 0


def test_a_rig_with_more_cameras_than_the_graph_is_refused(exported):
    frame = make_frame(0)
    more = replace(frame, cameras=(*frame.cameras, replace(frame.cameras[0], name="roof")))
    with pytest.raises(ValueError, match=r"no place for roof; it has 1 front_narrow.*4 side"):
        leapai.load(exported).step(more)


def test_thresholds_can_be_changed_and_the_network_cannot(exported):
    network = ExportedNetwork(exported)
    network.check_config(CONFIG.replace(evaluation={"min_score": 0.7}))
    with pytest.raises(ValueError, match="topk_query cannot be changed"):
        network.check_config(CONFIG.replace(topk_query=4))


@pytest.mark.parametrize("device", ["abacus", "tensorrt"])
def test_a_device_that_is_not_there_is_named(exported, device):
    if "TensorrtExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has TensorRT")
    with pytest.raises(ValueError, match=device):
        leapai.load(exported, device=device)


def test_a_graph_with_other_tensors_than_its_manifest_is_refused(exported, tmp_path):
    content = json.loads((exported / "manifest.json").read_text())
    content["inputs"][0]["name"] = content["graphs"][0]["inputs"][0] = "pictures"
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    (tmp_path / "step.onnx").write_bytes((exported / "step.onnx").read_bytes())
    with pytest.raises(ValueError, match="other inputs or outputs"):
        leapai.load(tmp_path)


def test_a_file_that_is_no_graph_is_refused(exported, tmp_path):
    content = json.loads((exported / "manifest.json").read_text())
    (tmp_path / "step.onnx").write_bytes(b"nothing")
    content["graphs"][0]["sha256"] = hashlib.sha256(b"nothing").hexdigest()
    content["graphs"][0]["bytes"] = len(b"nothing")
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"step\.onnx cannot be run"):
        leapai.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": LAYOUT + 1}, f"layout {LAYOUT + 1}"),
        ({"extra": 1}, "extra"),
        ({"graph": {"file": "../step.onnx"}}, r"graphs\.0\.file: .*without folders"),
        ({"graph": {"sha256": "0" * 64}}, "is not the file"),
        ({"graph": {"bytes": 12}}, r"step\.onnx has \d+ bytes, and .*manifest\.json states 12"),
        ({"inputs": [HUGE]}, "too large"),
        (
            {"graph": {"weights": {"type": "int8"}}},
            r"manifest\.json: .*int8 needs calibration.*again",
        ),
        ({"graph": {"weights": {"type": "float16", "frames": 1}}}, "float16 has no calibration"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(exported, tmp_path, change, message):
    content = json.loads((exported / "manifest.json").read_text())
    graph = content["graphs"][0] | change.pop("graph", {})
    (tmp_path / "manifest.json").write_text(json.dumps(content | change | {"graphs": [graph]}))
    (tmp_path / "step.onnx").write_bytes((exported / "step.onnx").read_bytes())
    with pytest.raises(ValueError, match=message):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(ValueError, match="leapai export"):
        leapai.load(tmp_path)

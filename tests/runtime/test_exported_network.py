"""An exported network whose manifest, graph and configuration do not fit is refused when it is
loaded, and not in a drive."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import leapai
from leapai.config import CameraConfig
from leapai.runtime.exported_network import ExportedNetwork
from tests.runtime.exported import edited, write_export
from tests.scenes import IMAGE_SIZE_PX, joint_config, make_frame, small_config

CAMERA = CameraConfig(
    image_size_px=IMAGE_SIZE_PX,
    backbone="resnetv2_18",
    backbone_args={"width_factor": 0.125},
    heads=2,
    depth_bins=6,
    shared=True,
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint")
    return write_export(folder, joint_config(camera=CAMERA))


def tensor(content, name):
    return next(t for t in content["inputs"] + content["outputs"] if t["name"] == name)


def setting(*path_and_value):
    *path, last, value = path_and_value

    def change(content):
        for name in path:
            content = content[name]
        content[last] = value

    return change


def of_tensor(name, **facts):
    return lambda content: tensor(content, name).update(facts)


def without(part, name):
    return lambda content: content[part].pop(name)


def no_lidar(content):
    content["config"] = joint_config(camera=CAMERA, enable_lidar=False).model_dump(mode="json")


def back_cameras(content):
    """One camera more, in all places of the manifest that say how many there are."""
    content["cameras"]["back"] += 1
    tensor(content, "images")["shape"][0] += 1


@pytest.mark.parametrize(
    "change_and_message",
    [
        (without("cameras", "side"), "cameras names the groups .*each of front_narrow"),
        (setting("cameras", "roof", 0), "cameras names the groups .*roof"),
        (setting("cameras", "back", 3), r"cameras adds up to 9, and the input images .*\[7, 3"),
        (back_cameras, r"step.onnx: images is tensor\(uint8\) of the shape \[7"),
        (of_tensor("query", shape=["P", 8, 16]), r"query .*manifest states float32 of \['P'"),
        (of_tensor("query", type="float16"), "query is tensor.float. .*states float16"),
        (of_tensor("boxes", shape=[1, 2, 3]), r"boxes .*states float32 of \[1, 2, 3\]"),
        (setting("config", "camera", "image_size_px", [64, 64]), "images is .*config needs uint8"),
        (setting("config", "camera", "depth_bins", 0), "has depth_m, ray_depth_m"),
        (setting("config", "camera", "heights_m", [0.0]), "anchor is .*config needs float32"),
        (setting("config", "topk_query", 3), "query is .*config needs 1 stream of"),
        (setting("config", "enable_dynamic_temporal", False), "inputs has .*query"),
        (no_lidar, "inputs has lidar_valid, pillar_cell, point_pillar, points, unlike"),
        (without("outputs", -1), "passed and outputs do not describe next_bev_is_finite"),
        (without("lengths", "P"), "lengths bounds M; the free lengths of the inputs are M, P"),
        (setting("lengths", "M", "usual", 1 << 20), "least 2, usual 1048576 and most .* not fall"),
        (setting("config", "lidar", "max_pillars", 7), "pillar_cell is .*config needs int64"),
    ],
)  # fmt: skip
def test_an_edited_manifest_is_refused_with_the_tensor_or_field(
    exported, tmp_path, change_and_message
):
    change, message = change_and_message
    with pytest.raises(ValueError, match=message) as error:
        leapai.load(edited(exported, tmp_path, change))
    assert str(tmp_path) in str(error.value)


@pytest.fixture(scope="module")
def in_parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return write_export(folder, joint_config(camera=CAMERA), division="parts")


def of_graph(of, **facts):
    return lambda content: graph(content, of).update(facts)


def graph(content, name):
    return next(each for each in content["graphs"] if each["name"] == name)


def of_bev(**facts):
    return lambda content: content["passed"][0].update(facts)


def appended(name, part, tensor_name):
    return lambda content: graph(content, name)[part].append(tensor_name)


def removed(name, part, tensor_name):
    return lambda content: graph(content, name)[part].remove(tensor_name)


def described_twice(content):
    content["outputs"].append(content["passed"][0])


def swapped(content):
    """The file of the static task is that of the dynamic one, digest included."""
    static, dynamic = (graph(content, name) for name in ("static", "dynamic"))
    for field in ("file", "sha256", "bytes"):
        static[field], dynamic[field] = dynamic[field], static[field]


def named_the_other_way_round(content):
    static, dynamic = (graph(content, name) for name in ("static", "dynamic"))
    static["name"], dynamic["name"] = "dynamic", "static"


def named_as_trunk(content):
    """The first graph, which must be named trunk, is the one that gives the map."""
    content["graphs"] = [graph(content, "static") | {"name": "trunk"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting("graphs", []), r"graphs"),
        (of_graph("dynamic", name="boxes"), r"graphs\.1\.name"),
        (of_graph("dynamic", name="static"), "graphs names trunk, static, static; it must name st"),
        (of_graph("dynamic", name="step"), "graphs names trunk, step, static; it must name step a"),
        (lambda content: content["graphs"].reverse(), "names static, dynamic, trunk; it must name"),
        (of_graph("static", file="../static.onnx"), r"graphs\.2\.file: .*without folders"),
        (of_graph("static", file="other.onnx"), "is a folder without other.onnx"),
        (of_graph("static", file="trunk.onnx"), "names one file twice among trunk.onnx, dynamic"),
        (of_graph("static", sha256="0" * 64), r"static\.onnx is not the file that .* describes"),
        (without("graphs", 2), "no graph gives map_logits, next_bev"),
        (appended("static", "outputs", "boxes"), "static gives boxes, which comes from .*, too"),
        (appended("static", "outputs", "query"), "static gives query, which comes from inputs"),
        (appended("static", "outputs", "more"), "passed and outputs do not describe more"),
        (appended("trunk", "inputs", "boxes"), "trunk takes boxes, which is neither an input nor"),
        (removed("dynamic", "inputs", "query"), "no graph takes query"),
        (removed("dynamic", "outputs", "boxes"), "no graph gives boxes"),
        (without("passed", 0), "passed and outputs do not describe bev"),
        (described_twice, "inputs, passed and outputs describe one tensor twice"),
        (of_bev(shape=[1, 16, 2, 2]), r"trunk\.onnx: bev is .*states float32 of \[1, 16, 2, 2\]"),
        (of_bev(shape=["P"]), r"trunk\.onnx: bev is .*states float32 of \['P'\]"),
        (of_graph("static", bytes=12), r"static\.onnx has \d+ bytes, and .* states 12"),
        (named_the_other_way_round, "the graph static gives no map_logits, but class_"),
        (named_as_trunk, "the graph trunk gives no bev, but map_logits"),
        (swapped, r"static\.onnx has other inputs or outputs than its manifest"),
    ],
)  # fmt: skip
def test_an_edited_manifest_of_parts_is_refused(in_parts, tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as error:
        leapai.load(edited(in_parts, tmp_path, change), device="cpu")
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("division", ["step", "parts"])
@pytest.mark.parametrize(
    "config",
    [
        joint_config(),
        small_config(enable_dynamic_temporal=False),
        small_config(enable_lidar=False),
    ],
    ids=["joint", "without memory", "without LiDAR"],
)
def test_what_an_export_writes_is_taken(tmp_path, config, division):
    stream = leapai.load(write_export(tmp_path, config, division=division), device="cpu")
    for index in range(2):
        stream.step(make_frame(index))
    assert stream.last.frame.timestamp_us == make_frame(1).timestamp_us


class Raced(ExportedNetwork):
    """A network whose tables another thread replaces as soon as they are read."""

    @property
    def _tables(self):
        tables, self.tables = self.tables, (b"another rig", {})
        return tables

    @_tables.setter
    def _tables(self, tables):
        self.tables = self.made = tables


def test_threads_with_other_rigs_do_not_change_the_projection_under_a_frame(exported):
    network = Raced(exported, "cpu")
    frame = make_frame(0)
    memory = network.step(frame, network.empty_memory(), is_first=True).memory
    network.tables = network.made
    after = network.step(frame, memory, is_first=False).memory
    assert after.last_timestamp_us == frame.timestamp_us


def test_a_rig_that_sees_more_cells_than_the_graph_takes_is_refused(exported, tmp_path):
    bounds = {"least": 2, "usual": 2, "most": 9}
    network = ExportedNetwork(edited(exported, tmp_path, setting("lengths", "M", bounds)), "cpu")
    with pytest.raises(ValueError, match=r"rig see \d+ pairs .* at most 9; .* --pairs"):
        network.step(make_frame(0), network.empty_memory(), is_first=True)

"""A folder is checked before a trace, and holds one export at a time."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("onnx")

from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.export import exporting
from leapai.export.exporting import FLOAT32
from leapai.export.graph_export import AS_DESIGNED, StepForm
from leapai.runtime.manifest import LAYOUT, WeightFacts, read_manifest
from tests.runtime.exported import write_export
from tests.scenes import joint_config, seeded_model, static_config


def a_file(folder):
    folder.write_text("mine")


def a_foreign_manifest(folder):
    folder.mkdir()
    (folder / "manifest.json").write_text('{"layout": 1, "name": "an app"}')


def a_foreign_graph(folder):
    folder.mkdir()
    (folder / "step.onnx").write_bytes(b"mine")


def a_foreign_part(folder):
    folder.mkdir()
    (folder / "trunk.onnx").write_bytes(b"mine")


def a_foreign_model(folder):
    folder.mkdir()
    (folder / "config.pbtxt").write_text('name: "mine"')


def export_before_the_trace(tmp_path, monkeypatch, output, to, weights=FLOAT32, form=AS_DESIGNED):
    """Begins an export of a network into a folder, which must not come to the trace."""
    config = static_config()
    save_checkpoint(tmp_path / "model.ckpt", seeded_model(config), config)
    monkeypatch.setattr(exporting, "traced", lambda *_: pytest.fail("traced"))
    exporting.export(read_checkpoint(tmp_path / "model.ckpt"), output, to, form, weights)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (a_file, "is a file"),
        (a_foreign_manifest, r"manifest\.json: is there, and no leapai export wrote it"),
        (a_foreign_graph, r"step\.onnx: is there, and no leapai export wrote it"),
        (a_foreign_part, r"trunk\.onnx: is there, and no leapai export wrote it"),
        (a_foreign_model, r"config\.pbtxt: is there, and no leapai export wrote it"),
    ],
)
def test_what_is_of_others_is_refused_before_the_trace(tmp_path, monkeypatch, make, message):
    output = tmp_path / "out"
    make(output)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        export_before_the_trace(tmp_path, monkeypatch, output, "pt2")
    (tmp_path / "model.ckpt").unlink()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("target", ["../elsewhere", ".", "1"])
def test_a_link_in_place_of_a_version_is_not_followed(tmp_path, monkeypatch, target):
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    output.mkdir(), elsewhere.mkdir()
    (output / "1").symlink_to(target)
    with pytest.raises(ValueError, match=r"out/1: is a (link to another folder; remove it|file)"):
        export_before_the_trace(tmp_path, monkeypatch, output, "triton")
    assert list(elsewhere.iterdir()) == []


def test_weights_that_a_program_does_not_have_are_refused_before_the_trace(tmp_path, monkeypatch):
    half = WeightFacts(type="float16")
    with pytest.raises(ValueError, match="float16 are of the formats onnx and triton"):
        export_before_the_trace(tmp_path, monkeypatch, tmp_path / "out", "pt2", half)
    assert not (tmp_path / "out").exists()


def test_parts_for_triton_are_refused_before_the_trace(tmp_path, monkeypatch):
    parts = StepForm(division="parts")
    with pytest.raises(ValueError, match=r"Triton is one graph.* leave the parts out, or write th"):
        export_before_the_trace(tmp_path, monkeypatch, tmp_path / "out", "triton", form=parts)
    assert not (tmp_path / "out").exists()


def test_parts_replace_a_step_and_the_other_way_round(tmp_path):
    folder = write_export(tmp_path, static_config())
    write_export(tmp_path, static_config(), division="parts")
    assert files_in(folder) == {"manifest.json", "trunk.onnx", "static.onnx"}
    write_export(tmp_path, static_config())
    assert files_in(folder) == {"manifest.json", "step.onnx"}


def test_files_with_the_names_of_graphs_beside_an_export_are_refused(tmp_path, monkeypatch):
    folder = write_export(tmp_path, static_config())
    for name in ("static.onnx", "dynamic.pt2"):
        (folder / name).write_bytes(b"mine")
    before = contents(folder)
    message = r"static\.onnx, .*dynamic\.pt2: is there, and no leapai export wrote it; move"
    for to in ("onnx", "pt2", "triton"):
        with pytest.raises(ValueError, match=message):
            export_before_the_trace(tmp_path, monkeypatch, folder, to)
    assert contents(folder) == before


def test_an_export_of_the_layout_before_is_replaced(tmp_path):
    folder = write_export(tmp_path, static_config())
    content = json.loads((folder / "manifest.json").read_text())
    (content["graph"],) = content.pop("graphs")
    (folder / "manifest.json").write_text(json.dumps(content | {"layout": LAYOUT - 1}))
    write_export(tmp_path, static_config(), division="parts")
    assert files_in(folder) == {"manifest.json", "trunk.onnx", "static.onnx"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_export_that_is_interrupted_leaves_the_one_before(tmp_path, monkeypatch, error):
    folder = write_export(tmp_path, joint_config(), division="parts")
    before, write_graph, written = contents(folder), exporting._write_graph, []

    def interrupted(step, graph, path, *others):
        if graph.name == "dynamic":
            raise error
        write_graph(step, graph, path, *others)
        written.append(path.read_bytes())

    monkeypatch.setattr(exporting, "_write_graph", interrupted)
    with pytest.raises(error):
        write_export(tmp_path, joint_config(enable_lidar=False), division="parts")
    assert len(written) == 1
    assert written[0] not in before.values(), "the new trunk is another one"
    assert contents(folder) == before
    read_manifest(folder)


def contents(folder):
    """What lies in a folder, temporary files included."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_in_place_of_a_version_stays(tmp_path):
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "1").write_text("mine")
    folder = write_export(tmp_path, static_config())
    assert files_in(folder) == {"1", "manifest.json", "step.onnx"}


@pytest.mark.parametrize("to", ["triton", "onnx"])
def test_a_configuration_that_was_edited_is_not_replaced(tmp_path, to):
    folder = write_export(tmp_path, static_config(), "triton")
    config = folder / "config.pbtxt"
    edited = f"{config.read_text()}instance_group {{ count: 4 }}\n"
    config.write_text(edited)
    before = (folder / "1" / "model.onnx").stat().st_mtime_ns
    with pytest.raises(ValueError, match=r"exported/config\.pbtxt: differs .* move it away"):
        write_export(tmp_path, static_config(), to)
    assert config.read_text() == edited
    assert (folder / "1" / "model.onnx").stat().st_mtime_ns == before
    config.rename(tmp_path / "mine.pbtxt")
    write_export(tmp_path, static_config(), to)


def test_a_configuration_beside_a_manifest_that_cannot_be_read_is_not_replaced(tmp_path):
    folder = write_export(tmp_path, static_config(), "triton")
    (folder / "1" / "model.onnx").write_bytes(b"of another export")
    with pytest.raises(ValueError, match=r"config\.pbtxt: differs"):
        write_export(tmp_path, static_config(), "triton")


def test_an_export_replaces_one_of_the_other_format(tmp_path):
    folder = write_export(tmp_path, static_config())
    content = json.loads((folder / "manifest.json").read_text())
    content["graphs"][0] |= {"file": "step.pt2", "format": "pt2", "opset": None}
    (folder / "manifest.json").write_text(json.dumps(content))
    (folder / "step.onnx").rename(folder / "step.pt2")
    (folder / "notes.txt").write_text("mine")
    assert write_export(tmp_path, static_config()) == folder
    assert {path.name for path in folder.iterdir()} == {"manifest.json", "step.onnx", "notes.txt"}


def test_an_export_replaces_a_model_for_triton_and_the_other_way_round(tmp_path):
    folder = write_export(tmp_path, static_config(), "triton")
    assert files_in(folder) == {"config.pbtxt", "1/manifest.json", "1/model.onnx"}
    (folder / "2").mkdir()
    write_export(tmp_path, static_config())
    assert files_in(folder) == {"manifest.json", "step.onnx"}
    assert not (folder / "1").exists()
    assert (folder / "2").exists()
    write_export(tmp_path, static_config(), "triton")
    assert files_in(folder) == {"config.pbtxt", "1/manifest.json", "1/model.onnx"}


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

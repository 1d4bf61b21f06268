"""A folder is checked before a trace, and holds one export at a time."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")

from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.export import exporting
from leapai.export.exporting import FLOAT32
from leapai.export.graph_export import AS_DESIGNED, StepForm
from leapai.runtime.manifest import WeightFacts
from tests.runtime.exported import write_export
from tests.scenes import seeded_model, static_config


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
    (folder / "dynamic.onnx").write_bytes(b"of an export before")
    write_export(tmp_path, static_config(), division="parts")
    assert files_in(folder) == {"manifest.json", "trunk.onnx", "static.onnx"}
    write_export(tmp_path, static_config())
    assert files_in(folder) == {"manifest.json", "step.onnx"}


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
    (folder / "step.pt2").write_bytes(b"of an export before")
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

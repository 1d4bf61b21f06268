"""A folder is checked before a trace, and holds one export at a time."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")

from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.export import exporting
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


def a_foreign_model(folder):
    folder.mkdir()
    (folder / "config.pbtxt").write_text('name: "mine"')


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (a_file, "is a file"),
        (a_foreign_manifest, r"manifest\.json: is there, and no leapai export wrote it"),
        (a_foreign_graph, r"step\.onnx: is there, and no leapai export wrote it"),
        (a_foreign_model, r"config\.pbtxt: is there, and no leapai export wrote it"),
    ],
)
def test_what_is_of_others_is_refused_before_the_trace(tmp_path, monkeypatch, make, message):
    config, output = static_config(), tmp_path / "out"
    save_checkpoint(tmp_path / "model.ckpt", seeded_model(config), config)
    make(output)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(exporting, "traced", lambda *_: pytest.fail("traced"))
    with pytest.raises(ValueError, match=message):
        exporting.export(read_checkpoint(tmp_path / "model.ckpt"), output, "pt2")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


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

"""A checkpoint runs no code and leads nowhere: each attack here is carried out on the commands."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import leapai
from leapai import cli
from leapai.checkpoints import header, read_checkpoint, write_checkpoint
from leapai.config.untrusted_data import untrusted
from leapai.models.build import build_model
from leapai.runs.run_inputs import open_inputs
from tests.scenes import seeded_model, small_config

WORLD = "synthetic:frames=2,beams=4"


class Trap:
    """A file that exists once code of an attacker has run, and the text of that code."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ran"
        self.code = f"open({str(self.path)!r}, 'w').close()"

    def __reduce__(self):
        return exec, (self.code,)

    @property
    def sprung(self) -> bool:
        return self.path.exists()


@pytest.fixture
def trap(tmp_path):
    return Trap(tmp_path)


@pytest.fixture(scope="module")
def state():
    return seeded_model(small_config()).state_dict()


def changed(changes: dict[str, object]) -> dict[str, object]:
    """The header of a checkpoint with a configuration in which dotted names are replaced."""
    content = json.loads(json.dumps(header(small_config())))
    for name, value in changes.items():
        *sections, last = name.split(".")
        section = content["config"]
        for each in sections:
            section = section[each]
        section[last] = value
    return content


def refused(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Runs `leapai val` on a checkpoint; returns the one line with which it is refused."""
    output = path.parent / "output"
    status = cli.main(["val", "--ckpt", str(path), "--data", WORLD, "--output", str(output)])
    error = capsys.readouterr().err
    assert status == 2, "a command ends with one line and the status of a user's mistake"
    assert error.count("\n") == 1
    assert "weights_only" not in error
    assert not output.exists()
    return error


def as_pickle(trap: Trap) -> bytes:
    return pickle.dumps({"state_dict": trap})


def as_old_pickle(trap: Trap) -> bytes:
    return pickle.dumps({"state_dict": trap}, protocol=0)


def as_zip_of_torch(trap: Trap) -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": trap}, file)
    return file.getvalue()


def as_torch_script(trap: Trap) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(trap))
        archive.writestr("archive/version", "3")
        archive.writestr("archive/code/__torch__.py", trap.code)
    return file.getvalue()


def as_zip_bomb(_: Trap) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"state_dict": {}}))
        archive.writestr("archive/data/0", bytes(64 << 20))
    return file.getvalue()


@pytest.mark.parametrize(
    "made", [as_pickle, as_old_pickle, as_zip_of_torch, as_torch_script, as_zip_bomb]
)
def test_files_that_would_run_code_or_unpack_are_not_opened(tmp_path, trap, capsys, made):
    path = tmp_path / "evil.ckpt"
    path.write_bytes(made(trap))
    assert "cannot be read as a checkpoint" in refused(path, capsys)
    assert not trap.sprung


def test_the_trap_works(trap):
    pickle.loads(as_pickle(trap))
    assert trap.sprung


ATTACKS: dict[str, dict[str, object]] = {
    "weights that timm loads": {"camera.backbone_args": {"checkpoint_path": "{trap}"}},
    "a network of a hub": {"camera.backbone": "hf_hub:attacker/model"},
    "a network of a folder": {"camera.backbone": "local-dir:{folder}"},
    "weights from the network": {"camera.backbone_args": {"pretrained": 1}},
    "a source of weights": {"camera.backbone_args": {"pretrained_cfg": "{trap}"}},
    "a cache elsewhere": {"camera.backbone_args": {"cache_dir": "{folder}"}},
    "a scale that overflows": {"camera.backbone_args": {"width_factor": 1e9}},
    "a folder above": {"job_name": "../../x"},
    "an absolute folder": {"job_name": "/etc/x"},
    "a hidden folder": {"job_name": ".ssh"},
    "markup and a line break": {"job_name": "[link=x]\n"},
    "a billion queries": {"dynamic.queries": 10**9},
    "a number beyond 64 bits": {"dynamic.queries": 10**30},
    "many layers": {"dynamic.layers": 10**6},
    "wide layers": {"dynamic.embed": 4096, "dynamic.ffn": 16384, "dynamic.layers": 64},
    "a huge image": {"camera.image_size_px": [80_000, 80_000]},
    "the largest image and many channels": {
        "camera.image_size_px": [8192, 8192],
        "bev.channels": 4096,
    },
    "a fine grid": {"bev.cell_m": 1e-6},
    "an endless grid": {"bev.x_range_m": [-1e308, 1e308]},
    "a range that is no number": {"bev.x_range_m": [float("nan"), float("inf")]},
    "fine pillars": {"lidar.pillar_m": 0.01, "lidar.pillar_channels": 4096},
    "a long memory": {"queue_length": 10**9},
    "a sick pattern": {"freeze_modules": ["*a" * 500]},
    "a loader of a service": {"training.loggers": ["os"]},
    "an unknown variable": {"__class__": "x"},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_configurations_that_lead_elsewhere_are_refused(tmp_path, trap, capsys, state, name):
    def filled(value: object) -> object:
        if isinstance(value, dict):
            return {key: filled(each) for key, each in value.items()}
        if isinstance(value, str):
            return value.format(trap=evil, folder=tmp_path)
        return value

    evil = tmp_path / "evil.pth"
    evil.write_bytes(as_pickle(trap))
    path = tmp_path / "evil.ckpt"
    write_checkpoint(path, {"state_dict": state, **changed(filled(ATTACKS[name]))})
    error = refused(path, capsys)
    assert "is not valid" in error
    assert not trap.sprung
    with pytest.raises(ValueError, match="is not valid"):
        leapai.load(path, device="cpu")


def test_a_network_too_large_is_refused_before_it_is_built(tmp_path, capsys, state):
    content = changed(
        {"camera.backbone": "resnetv2_152", "camera.backbone_args": {"width_factor": 4.0}}
    )
    write_checkpoint(tmp_path / "evil.ckpt", {"state_dict": state, **content})
    error = refused(tmp_path / "evil.ckpt", capsys)
    assert "weights for each of 4 groups of cameras; at most 400,000,000 are allowed" in error


@pytest.mark.parametrize("data", ["cProfile:run:{code}", "planted:open_logs:x"])
def test_data_that_a_checkpoint_names_calls_no_function(
    tmp_path, trap, capsys, state, monkeypatch, data
):
    (tmp_path / "planted.py").write_text(trap.code)
    monkeypatch.syspath_prepend(tmp_path)
    data = data.format(code=trap.code)
    path = tmp_path / "evil.ckpt"
    write_checkpoint(path, {"state_dict": state, **changed({"data.val": data})})
    assert cli.main(["val", "--ckpt", str(path), "--output", str(tmp_path / "output")]) == 2
    assert f"say --data {data}" in capsys.readouterr().err
    config = read_checkpoint(path).config
    with pytest.raises(ValueError, match="no file may ask for"):
        open_inputs(config, path, config.data.val, None)
    assert not trap.sprung
    assert "planted" not in sys.modules


def test_installed_data_sets_and_the_rest_of_such_a_checkpoint_stay_usable(tmp_path, state):
    path = tmp_path / "own.ckpt"
    content = changed({"data.train": "my_data:open_logs:/disk", "data.val": WORLD})
    write_checkpoint(path, {"state_dict": state, **content})
    config = read_checkpoint(path).config
    assert (config.data.train, config.data.val) == ("untrusted:my_data:open_logs:/disk", WORLD)
    assert config.replace(data=small_config().data) == small_config()
    assert untrusted("/disk/drives,every=2") == "/disk/drives,every=2"  # a path runs nothing
    build_model(config).load_state_dict(dict(read_checkpoint(path).state_dict))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", "[red]\x1b[2J"),
        ("version", 1),
        ("figures", {"\x1b[2J": 1.0}),
        ("figures", {"mAP": "<script>"}),
        ("figures", [1]),
        ("class_names", ["\x1b[2J"]),
    ],
)
def test_words_of_a_checkpoint_that_are_printed_are_plain(tmp_path, capsys, state, name, value):
    path = tmp_path / "evil.ckpt"
    write_checkpoint(path, {"state_dict": state, **header(small_config()), name: value})
    assert "\x1b" not in refused(path, capsys)

"""The files that a training leaves to its loggers."""

from __future__ import annotations

import hashlib
import os

import pytest

from leapai.training.training_artifacts import artifacts_in, write_config
from tests.scenes import small_config


@pytest.mark.parametrize(("written_s", "is_there"), [(-60, False), (60, True)])
def test_a_report_from_before_the_training_is_of_other_weights(tmp_path, written_s, is_there):
    write_config(tmp_path, small_config())
    report, began_s = tmp_path / "report.html", (tmp_path / "config.json").stat().st_mtime
    report.touch()
    os.utime(report, (began_s + written_s, began_s + written_s))
    assert ("report.html" in artifacts_in(tmp_path, tmp_path / "model.ckpt").files) == is_there


def test_configuration_and_pictures_are_there_by_their_names_in_the_folder(tmp_path):
    write_config(tmp_path, small_config())
    (tmp_path / "pictures").mkdir()
    for step in (20, 10):
        (tmp_path / f"pictures/step_{step:06d}.png").touch()
    files = artifacts_in(tmp_path, tmp_path / "model.ckpt").files
    assert list(files) == ["config.json", "pictures/step_000010.png", "pictures/step_000020.png"]
    assert all((tmp_path / name).samefile(path) for name, path in files.items())


def test_the_best_weights_have_their_digest_too_and_others_none(tmp_path):
    write_config(tmp_path, small_config())
    for name in ("model.ckpt", "best.ckpt", "last.ckpt", "notes.txt"):
        (tmp_path / name).write_text(name)
    artifacts = artifacts_in(tmp_path, tmp_path / "model.ckpt")
    assert artifacts.files.keys() == {"config.json"}
    assert artifacts.checkpoints == {
        name: hashlib.sha256(name.encode()).hexdigest() for name in ("model.ckpt", "best.ckpt")
    }

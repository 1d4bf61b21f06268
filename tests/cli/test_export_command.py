"""`leapai export` reports a user's mistakes before anything that takes time is imported."""

from __future__ import annotations

import pytest

from leapai import cli
from leapai.cli.export_command import MOST_OF_LENGTH
from leapai.runtime.manifest import MOST_LENGTH


def test_a_checkpoint_that_is_missing_is_named(capsys):
    assert cli.main(["export", "nowhere.ckpt", "-o", "out"]) == 2
    assert "nowhere.ckpt" in capsys.readouterr().err


def test_an_unknown_format_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["export", "nowhere.ckpt", "--format", "tflite", "-o", "out"])
    assert "tflite" in capsys.readouterr().err


@pytest.mark.parametrize("cameras", ["7", "1,1,1", "1,1,1,4,2", "1,1,1,-1", "0,0,0,0", "1,1,1,90"])
def test_numbers_of_cameras_that_cannot_be_are_refused(capsys, cameras):
    with pytest.raises(SystemExit):
        cli.main(["export", "nowhere.ckpt", "--cameras", cameras, "-o", "out"])
    assert cameras in capsys.readouterr().err


@pytest.mark.parametrize("length", ["7", "1,9", "9,8", "2,3,4", "2,2000000", "many,more"])
def test_lengths_that_cannot_be_are_refused(capsys, length):
    for option in ("--points", "--pairs"):
        with pytest.raises(SystemExit):
            cli.main(["export", "nowhere.ckpt", option, length, "-o", "out"])
        assert length in capsys.readouterr().err


def test_the_largest_length_is_that_of_a_manifest():
    assert MOST_OF_LENGTH == MOST_LENGTH


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "hub", "--pairs", "2,9"], "--pairs is of the formats onnx, pt2 and triton"),
        (["--run", "r", "--license", "mit"], "--run, --license: of --format hub alone"),
        (["--stress", "s", "--format", "pt2"], "--stress: of --format hub alone"),
        (["--repository", "a/b"], "--repository: of --format hub alone"),
        (["--format", "hub", "--cameras", "1,1,1,4"], "--cameras is of the formats onnx, pt2 and"),
        (["--format", "pt2", "--weights", "int8"], "--weights int8 is of the formats onnx and tri"),
        (["--format", "hub", "--weights", "float16"], "--weights float16 is of the formats onnx"),
        (["--graphs", "parts", "--format", "triton"], "--graphs parts is of the formats onnx and"),
        (["--graphs", "parts", "--format", "hub"], "--graphs parts is of the formats onnx and pt2"),
        (["--weights", "int8"], "--weights int8 needs --calibration SOURCE"),
        (["--calibration", "synthetic"], "--calibration is of --weights int8 alone"),
    ],
)
def test_options_of_another_format_are_refused_in_one_line(capsys, options, message):
    assert cli.main(["export", "nowhere.ckpt", "-o", "out", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_data_that_does_not_exist_is_named_before_the_checkpoint_is_read(tmp_path, capsys):
    (tmp_path / "model.ckpt").write_bytes(b"")
    options = ["--weights", "int8", "--calibration", "nuscenes:/nowhere", "-o", str(tmp_path / "o")]
    assert cli.main(["export", str(tmp_path / "model.ckpt"), *options]) == 2
    assert "there is no folder '/nowhere'" in capsys.readouterr().err

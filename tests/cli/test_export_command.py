"""`leapai export` reports a user's mistakes before anything that takes time is imported."""

from __future__ import annotations

import pytest

from leapai import cli


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--run", "r", "--license", "mit"], "--run, --license: of --format hub alone"),
        (["--stress", "s", "--format", "pt2"], "--stress: of --format hub alone"),
        (["--repository", "a/b"], "--repository: of --format hub alone"),
        (["--format", "hub", "--cameras", "1,1,1,4"], "--cameras is of the formats onnx and pt2"),
    ],
)
def test_options_of_another_format_are_refused_in_one_line(capsys, options, message):
    assert cli.main(["export", "nowhere.ckpt", "-o", "out", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1

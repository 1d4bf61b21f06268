"""`leapai confidence`: what a confidence means after it, with all sensors and with one lost."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit

from leapai import cli, confidence
from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.config.confidence_options import ConfidenceOptions
from leapai.data.log import DrivingLog
from leapai.data.perturbation import without_cameras, without_lidar
from leapai.evaluation.detection.calibration import fitted_logistic
from leapai.streaming.session import StreamSession
from leapai.types import Detections, Labels
from tests.scenes import make_frame, seeded_model, small_config

DATA = "tests.test_confidence:open_drives:"
FRAMES = 4
CURVES = {"all sensors": (0.8, -0.5), "cameras": (0.5, -1.5), "LiDAR": (1.2, 0.6)}
"""Slope and shift of the logits by which detections of the made-up network are right."""
LEVELS = np.linspace(-3.0, 3.0, 17)
PLACES_M = np.stack(np.meshgrid(np.arange(-35, 60, 5.0), np.arange(-40, 41, 5.0)), -1).reshape(
    -1, 2
)


def boxes_at(places_m):
    size = np.tile([1.0, 4.0, 2.0, 1.5, 0.0], (len(places_m), 1))
    return np.hstack([places_m, size])


class Drive(DrivingLog):
    """Frames with an object at each place."""

    def __init__(self, name, change=lambda frame: frame):
        self.name, self.change = name, change

    @property
    def timestamps_us(self):
        return np.array([make_frame(i).timestamp_us for i in range(FRAMES)])

    def __getitem__(self, index):
        boxes = boxes_at(PLACES_M)
        labels = Labels.unlabelled(boxes, np.zeros(len(boxes), np.int64))
        return self.change(replace(make_frame(index, sequence=self.name), labels=labels))


def open_drives(location, options):
    """One drive that counts, and two without a kind of sensor: those do not."""
    return [Drive("all"), Drive("blind", without_cameras), Drive("no LiDAR", without_lidar)]


class MadeUpSession:
    """Detects an object at each place, or beside it, as probably right as a curve of the sensors
    that came says, and as sure as the configuration makes that."""

    curves = CURVES

    def __init__(self, model, config, device, number):
        self.fitted = config.dynamic.confidence

    def try_step(self, frame):
        cameras = any(camera.image is not None for camera in frame.cameras)
        seen, (scale, shift) = "all sensors", (1.0, 0.0)
        if frame.points is None:
            seen, (scale, shift) = "cameras", self.fitted.cameras_alone
        elif not cameras:
            seen, (scale, shift) = "LiDAR", self.fitted.lidar_alone
        number, level = np.divmod(np.arange(len(PLACES_M)), len(LEVELS))
        slope, offset = self.curves[seen]
        part = (number + (frame.timestamp_us // 100_000 % FRAMES + 0.5) / FRAMES) / (
            number.max() + 1
        )
        right = part < expit(slope * LEVELS[level] + offset)
        beside = np.where(right, 0.0, 2.5)
        found = Detections.from_labels(frame)
        boxes = boxes_at(PLACES_M + np.stack([beside, beside], 1))
        score = expit(scale * LEVELS[level] + shift)
        return SimpleNamespace(
            frame=frame, memory=True, detections=replace(found, boxes=boxes, score=score)
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint whose confidence was fitted before, to something else."""
    path, config = tmp_path_factory.mktemp("trained") / "model.ckpt", small_config()
    config = config.replace(dynamic={"confidence": {"cameras_alone": (3.0, 1.0)}})
    save_checkpoint(path, seeded_model(config), config, {"mAP": 0.5})
    return path


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setattr(confidence, "StreamSession", MadeUpSession)
    return MadeUpSession


def fit(checkpoint, output):
    return confidence.fit_confidence(ConfidenceOptions(checkpoint, DATA, output))


def test_each_sensor_alone_gets_the_change_from_its_curve_to_that_of_all(
    trained, made_up, tmp_path, capsys
):
    output = tmp_path / "out.ckpt"
    assert cli.main(["confidence", str(trained), "--data", DATA, "-o", str(output)]) == 0
    fitted = read_checkpoint(output).config.dynamic.confidence
    slope, shift = CURVES["all sensors"]
    for sensor, pair in (("cameras", fitted.cameras_alone), ("LiDAR", fitted.lidar_alone)):
        own_slope, own_shift = CURVES[sensor]
        assert pair == pytest.approx((own_slope / slope, (own_shift - shift) / slope), abs=0.05)
    said = capsys.readouterr().out
    assert "all: 4 of 4 frames have labels, cameras and a LiDAR\n" in said
    assert "blind: 0 of 4 frames" in said
    assert "no LiDAR: 0 of 4 frames" in said


def test_moved_confidences_are_right_as_often_as_those_with_all_sensors(trained, made_up, tmp_path):
    for each in fit(trained, tmp_path / "out.ckpt"):
        assert fitted_logistic(*each.before) != pytest.approx(CURVES["all sensors"], abs=0.2)
        assert fitted_logistic(*each.after) == pytest.approx(CURVES["all sensors"], abs=0.05)


def test_weights_and_metrics_stay_and_a_fit_of_the_fitted_is_the_same(trained, made_up, tmp_path):
    first, again = tmp_path / "first.ckpt", tmp_path / "again.ckpt"
    fit(trained, first)
    fit(first, again)
    before, after = read_checkpoint(trained), read_checkpoint(first)
    assert before.state_dict.keys() == after.state_dict.keys()
    for name, tensor in before.state_dict.items():
        assert torch.equal(tensor, after.state_dict[name])
    assert after.metrics == {"mAP": 0.5}
    assert read_checkpoint(again).config == after.config


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({"all sensors": (-0.5, 0.0)}, r"by all sensors: .* \(logits x -0.5"),
        ({"all sensors": (0.01, 0.0)}, r"by all sensors: confidence does not tell"),
        ({"cameras": (0.0, 0.0)}, r"by cameras alone: confidence does not tell"),
        ({"LiDAR": (1000.0, 0.0)}, r"by lidar alone: confidence does not tell"),
        (
            {"all sensors": (0.1, 0.0), "LiDAR": (4.0, 0.0)},
            r"by lidar alone: logits x .*dynamic.confidence.lidar_alone.0 = .* 20",
        ),
    ],
    ids=["the wrong way", "noise", "noise of the cameras", "separable", "too far apart"],
)
def test_curves_that_no_configuration_can_hold_are_refused(
    curves, message, trained, made_up, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(MadeUpSession, "curves", {**CURVES, **curves})
    output = tmp_path / "out.ckpt"
    assert cli.main(["confidence", str(trained), "--data", DATA, "-o", str(output)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"error: data '{DATA}': detections")
    assert re.search(message, error), error
    assert "name more labelled drives with cameras and a LiDAR, or other ones" in error
    assert not output.exists()


def logits_of(config, change):
    """Logits of the classes of each query in the second frame of a drive, by the same weights."""
    session = StreamSession(seeded_model(config), config)
    for index in range(2):
        result = session.step(change(make_frame(index)))
    return result.dynamic.class_logits[-1, 0].numpy()


@pytest.mark.parametrize(
    ("change", "scale", "shift"),
    [(without_lidar, 0.5, -1.0), (without_cameras, 2.0, 0.5), (lambda frame: frame, 1.0, 0.0)],
    ids=["cameras alone", "LiDAR alone", "all sensors"],
)
def test_confidence_moves_as_the_configuration_states(change, scale, shift):
    plain = small_config()
    pairs = {"cameras_alone": (0.5, -1.0), "lidar_alone": (2.0, 0.5)}
    fitted = plain.replace(dynamic={"confidence": pairs})
    before, after = (logits_of(config, change) for config in (plain, fitted))
    np.testing.assert_allclose(after, scale * before + shift, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (small_config(), "0 right and .* too few, 50 of each are needed; name more labelled"),
        (small_config(enable_lidar=False), "one kind of sensor alone"),
    ],
    ids=["nothing found", "no LiDAR"],
)
def test_what_cannot_be_fitted_is_refused_and_nothing_written(config, message, tmp_path, capsys):
    path, output = tmp_path / "model.ckpt", tmp_path / "out.ckpt"
    save_checkpoint(path, seeded_model(config), config)
    data = "synthetic:frames=1"
    assert cli.main(["confidence", str(path), "--data", data, "-o", str(output)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is a folder; name the checkpoint file"),
        ("none/out.ckpt", "there is no folder"),
        ("file/out.ckpt", "there is no folder"),
        ("link.ckpt", "is the checkpoint to read, which stays as it is"),
    ],
    ids=["folder", "missing folder", "under a file", "the one that is read"],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_streamed(
    name, message, trained, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(confidence, "open_inputs", lambda *_: pytest.fail("streams"))
    (tmp_path / "file").touch()
    (tmp_path / "link.ckpt").symlink_to(trained)
    before = trained.read_bytes()
    output = str(tmp_path / name)
    assert cli.main(["confidence", str(trained), "--data", DATA, "-o", output]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"error: {output}: {message}"), error
    with pytest.raises(ValueError, match=message):
        fit(trained, tmp_path / name)
    assert trained.read_bytes() == before

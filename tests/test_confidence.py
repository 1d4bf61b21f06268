"""`leapai confidence`: what a confidence means after it, with all sensors and with one lost."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

import leapai
from leapai import cli
from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.data.perturbation import without_lidar
from leapai.weights import shipped_checkpoint
from tests.scenes import seeded_model, small_config

DATA = "synthetic:seed=24,place=street,frames=4,rate_hz=4"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    output = tmp_path_factory.mktemp("fitted") / "model.ckpt"
    arguments = ["confidence", str(shipped_checkpoint()), "--data", DATA, "-o", str(output)]
    assert cli.main(arguments) == 0
    return output


def scores(path, change):
    """Confidence of each query in the second frame of a drive."""
    stream = leapai.load(path, device="cpu")
    log = leapai.open_logs(DATA, image_size_px=read_checkpoint(path).config.camera.image_size_px)[0]
    for index in range(2):
        stream.step(change(log[index]))
    return stream.last.dynamic.class_logits[-1, 0].sigmoid().numpy().max(1)


def test_confidence_moves_as_the_checkpoint_states_where_the_lidar_is_lost(fitted):
    before, after = (scores(path, without_lidar) for path in (shipped_checkpoint(), fitted))
    shipped, (scale, shift) = (
        read_checkpoint(path).config.dynamic.confidence.cameras_alone
        for path in (shipped_checkpoint(), fitted)
    )
    raw = (logit(before) - shipped[1]) / shipped[0]
    np.testing.assert_allclose(after, expit(scale * raw + shift), atol=1e-4)
    assert (np.argsort(before) == np.argsort(after)).all()


def test_with_all_sensors_nothing_changes(fitted):
    before, after = (scores(path, lambda frame: frame) for path in (shipped_checkpoint(), fitted))
    assert np.array_equal(before, after)


def test_weights_stay_and_a_fit_of_the_fitted_is_the_same(fitted, tmp_path):
    first, shipped = read_checkpoint(fitted), read_checkpoint(shipped_checkpoint())
    for name, tensor in shipped.state_dict.items():
        assert torch.equal(tensor, first.state_dict[name])
    again = tmp_path / "again.ckpt"
    assert cli.main(["confidence", str(fitted), "--data", DATA, "-o", str(again)]) == 0
    found = [read_checkpoint(path).config.dynamic.confidence for path in (fitted, again)]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (small_config(), "0 right and .* too few, 50 of each are needed: name more labelled"),
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

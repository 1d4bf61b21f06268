"""What a command runs with, where a configuration and a network are both named."""

from __future__ import annotations

import json

import pytest

from leapai import cli
from leapai.checkpoints import header, save_checkpoint, write_checkpoint
from leapai.cli.configuration import ConfigurationOptions, name_of_run
from leapai.config import explain, load_config
from leapai.config.network_sections import ConfidenceConfig
from leapai.weights import card_of, shipped_checkpoint
from tests.scenes import seeded_model, small_config

FITTED = ConfidenceConfig(cameras_alone=(0.5, -1.0), lidar_alone=(0.8, -0.3))
OWN = ConfidenceConfig(cameras_alone=(0.9, -0.2))


@pytest.fixture(autouse=True)
def _no_configuration_of_the_environment(monkeypatch):
    monkeypatch.delenv("LEAPAI_TASK_CONFIG", raising=False)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A checkpoint with fitted confidence."""
    path, config = tmp_path_factory.mktemp("fitted") / "model.ckpt", small_config()
    config = config.replace(dynamic={"confidence": FITTED})
    save_checkpoint(path, seeded_model(config), config)
    return path


def own_file(folder, **changes):
    """The same network as a configuration file of another job."""
    path = folder / "own.py"
    path.write_text(explain(small_config(job_name="own").replace(**changes)))
    return path


def confidence_of(file, checkpoint, *settings):
    options = ConfigurationOptions(tuple(settings), str(file))
    config, network = options.load_or_that_of(checkpoint)
    assert (network and network.path) == checkpoint
    assert config.job_name == "own"
    return config.dynamic.confidence


def test_fitted_confidence_comes_with_the_weights(fitted, tmp_path):
    assert confidence_of(own_file(tmp_path), fitted) == FITTED


def test_a_configuration_with_confidence_of_its_own_keeps_it(fitted, tmp_path):
    file = own_file(tmp_path, dynamic={"confidence": OWN})
    assert confidence_of(file, fitted) == OWN


def test_a_setting_changes_what_comes_with_the_weights(fitted, tmp_path):
    setting = "dynamic.confidence.cameras_alone=(1.0, 0.0)"
    changed = confidence_of(own_file(tmp_path), fitted, setting)
    assert changed == ConfidenceConfig(lidar_alone=FITTED.lidar_alone)


def test_a_checkpoint_without_a_valid_configuration_brings_none(tmp_path):
    config = small_config()
    content = {"state_dict": seeded_model(config).state_dict(), **header(config)}
    for number, change in enumerate(({}, {"dynamic": {"unknown": 1}})):
        checkpoint = tmp_path / f"{number}.ckpt"
        content["config"] = change
        write_checkpoint(checkpoint, content)
        assert confidence_of(own_file(tmp_path), checkpoint) == ConfidenceConfig()


def test_a_training_keeps_its_own(fitted, tmp_path, monkeypatch):
    run = []
    monkeypatch.setattr("leapai.training.train.run_training", lambda config, _: run.append(config))
    file, output = own_file(tmp_path, data={"val": "synthetic"}), str(tmp_path / "run")
    data = ["--data", "synthetic", "--output", output]
    assert cli.main(["train", str(file), "--ckpt", str(fitted), *data]) == 0
    assert run[0].dynamic.confidence == ConfidenceConfig()


def test_a_run_with_a_configuration_of_its_own_is_named_after_that(tmp_path):
    _, network = ConfigurationOptions().load_or_that_of(shipped_checkpoint())
    assert name_of_run(network, network.config.job_name) == card_of(network.sha256).name
    assert name_of_run(network, load_config(own_file(tmp_path)).job_name) == "own"


def test_an_export_runs_by_a_configuration_file_and_its_folder_says_its_type(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tests.runtime.exported import write_export

    exported = write_export(tmp_path, small_config().replace(dynamic={"confidence": FITTED}))
    monkeypatch.chdir(tmp_path)
    data = ["--data", "synthetic:frames=1", "--no-pictures"]
    assert cli.main(["val", str(own_file(tmp_path)), "--ckpt", str(exported), *data]) == 0
    folders = [path for path in (tmp_path / "outputs").iterdir() if path.is_dir()]
    assert [path.name for path in folders] == ["own_float32"]
    ran = json.loads((folders[0] / "config.json").read_text())
    assert ran["dynamic"]["confidence"] == FITTED.model_dump(mode="json")

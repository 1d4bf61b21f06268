"""What a training reports arrives at the services that its configuration names."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from leapai.checkpoints import read_checkpoint
from leapai.config.options import TrainingOptions
from leapai.training import loggers
from leapai.training.loggers import Artifacts, LoggedRun, open_loggers
from leapai.training.train import run_training
from tests.training.runs import training_config

PICTURE = np.full((4, 6, 3), 7, np.uint8)
DIGEST = "d" * 64
SCALARS = {"run/rate": 0.5, "loss/total": 2.0, "seconds/forward": 0.25}


def report(folder, *names, first_step=0):
    """A run that reports one step, one validation and one picture."""
    opened = open_loggers(names, LoggedRun(folder, "job", {"bev": {"rows": 4}}, first_step))
    opened.scalars(SCALARS, first_step + 10)
    opened.scalars({"val/mAP": 0.75}, first_step + 10)
    opened.image("val", PICTURE, first_step + 10)
    files = {name: folder / name for name in ("config.json", "report.html", "pictures/a.png")}
    for path in files.values():
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"bev": 4}')
    opened.artifacts(Artifacts(files, {"model.ckpt": DIGEST}))
    opened.close()


class FakeWandb(SimpleNamespace):
    """The calls of the SDK's documentation that the logger makes, noted."""

    def __init__(self):
        super().__init__(Image=lambda picture: ("image", picture.shape), id="of the service")
        self.runs, self.history, self.exits = [], [], []
        self.summary, self.logged = {}, []

    def init(self, **given):
        self.runs.append(given)
        return self

    def define_metric(self, name, step_metric):
        assert (name, step_metric) == ("*", "step")

    def log(self, values):
        self.history.append(values)

    def Artifact(self, name, type, metadata):
        return FakeArtifact(name, type, metadata, {})

    def log_artifact(self, artifact):
        self.logged.append(artifact)

    def finish(self, exit_code):
        self.exits.append(exit_code)


@dataclass
class FakeArtifact:
    """The calls of an artifact of Weights & Biases."""

    name: str
    type: str
    metadata: dict
    files: dict

    def add_file(self, path, name):
        self.files[name] = Path(path).read_text()


class FakeMlflow(SimpleNamespace):
    """The calls of `MlflowClient` that the logger makes, noted."""

    def __init__(self):
        super().__init__(entities=SimpleNamespace(Metric=lambda *given: given))
        self.uris, self.experiments, self.runs = [], {}, []
        self.metrics, self.images, self.artifacts, self.states = [], [], {}, []
        self.tags = {}

    def MlflowClient(self, uri):
        self.uris.append(uri)
        return self

    def get_experiment_by_name(self, name):
        return self.experiments.get(name)

    def create_experiment(self, name, artifact_location):
        self.experiments[name] = SimpleNamespace(experiment_id="7", place=artifact_location)
        return "7"

    def create_run(self, experiment_id, run_name):
        self.runs.append((experiment_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=f"run{len(self.runs)}"))

    def log_dict(self, run_id, values, file):
        self.artifacts[file] = values

    def log_batch(self, run_id, metrics):
        self.metrics += [(run_id, name, value, step) for name, value, _, step in metrics]

    def log_artifact(self, run_id, path):
        self.artifacts[Path(path).name] = Path(path).read_text()

    def set_tag(self, run_id, key, value):
        self.tags[key] = value

    def log_image(self, run_id, picture, file):
        self.images.append((run_id, picture.shape, file))

    def update_run(self, run_id, status):
        self.states.append((run_id, status))

    def set_terminated(self, run_id, status):
        self.states.append((run_id, status))


def test_lines_and_tensorboard_hold_what_was_reported(tmp_path):
    report(tmp_path, "tensorboard")
    line = json.loads((tmp_path / "train.jsonl").read_text())
    assert line == {
        "step": 10, "rate": 0.5, "losses": {"total": 2.0}, "seconds_of": {"forward": 0.25},
    }  # fmt: skip
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert set(events.Tags()["scalars"]) == {*SCALARS, "val/mAP"}
    (point,) = events.Scalars("val/mAP")
    assert (point.step, point.value) == (10, 0.75)
    (image,) = events.Images("val")
    assert (image.step, image.width, image.height) == (10, 6, 4)
    texts = {
        tag: events.Tensors(tag)[0].tensor_proto.string_val for tag in events.Tags()["tensors"]
    }
    assert texts["sha256/model.ckpt/text_summary"] == [DIGEST.encode()]
    assert texts["config.json/text_summary"] == [b'    {"bev": 4}\n']


def test_a_resumed_run_drops_the_lines_of_steps_that_it_takes_again(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"step": 10}\n{"step": 20}\n{"step": 3')
    report(tmp_path, first_step=10)
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20]
    assert lines[1]["losses"] == {"total": 2.0}


def test_wandb_gets_the_run_and_a_resumed_one_goes_on_with_it(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    report(tmp_path, "wandb")
    report(tmp_path, "wandb", first_step=10)
    first, second = fake.runs
    assert (first["name"], first["config"]) == ("job", {"bev": {"rows": 4}})
    assert first["dir"] == str(tmp_path)
    assert first["id"] == second["id"]
    assert second["resume"] == "allow"
    assert fake.history[:2] == [SCALARS | {"step": 10}, {"val/mAP": 0.75, "step": 10}]
    assert fake.history[2] == {"val": ("image", PICTURE.shape), "step": 10}
    assert fake.exits == [0, 0]
    artifact = fake.logged[0]
    assert (artifact.name, artifact.type) == ("run-of the service", "training")
    assert sorted(artifact.files) == ["config.json", "pictures/a.png", "report.html"]
    assert artifact.metadata == {"sha256/model.ckpt": DIGEST} == fake.summary


def test_services_are_told_that_a_training_failed(tmp_path, monkeypatch):
    wandb, mlflow = FakeWandb(), FakeMlflow()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    run = loggers.LoggedRun(tmp_path, "job", {})
    with pytest.raises(KeyError), loggers.open_loggers(["wandb", "mlflow"], run):
        raise KeyError
    assert wandb.exits == [1]
    assert mlflow.states[-1][1] == "FAILED"


def test_mlflow_gets_the_run_and_a_resumed_one_goes_on_with_it(tmp_path, monkeypatch):
    fake = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    report(tmp_path, "mlflow")
    report(tmp_path, "mlflow", first_step=10)
    assert fake.uris == [f"sqlite:///{tmp_path / 'mlflow.db'}"] * 2
    assert fake.experiments["leapai"].place == (tmp_path / "mlartifacts").as_uri()
    assert fake.runs == [("7", "job")]
    assert fake.artifacts == {"config.json": '{"bev": 4}', "report.html": '{"bev": 4}'}
    assert fake.tags == {"sha256/model.ckpt": DIGEST}
    assert ("run1", "loss/total", 2.0, 10) in fake.metrics
    assert ("run1", "val/mAP", 0.75, 20) in fake.metrics
    assert fake.images[0] == ("run1", PICTURE.shape, "val/step_000010.png")
    assert fake.states == [("run1", "RUNNING"), ("run1", "FINISHED")] * 2


def test_a_new_run_in_an_old_folder_is_a_run_of_its_own(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    report(tmp_path, "wandb")
    report(tmp_path, "wandb")
    assert fake.runs[0]["id"] != fake.runs[1]["id"]


def test_mlflow_keeps_artifacts_on_the_server_that_the_environment_names(tmp_path, monkeypatch):
    fake = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    report(tmp_path, "mlflow")
    assert fake.uris == ["http://tracking:5000"]
    assert fake.experiments["leapai"].place is None


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("wandb", "wandb", "wandb"),
        ("mlflow", "mlflow", "mlflow"),
        ("tensorboard", "torch.utils.tensorboard", "train"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, name, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"pip install 'leapai\[{extra}\]'"):
        report(tmp_path, name)


def test_a_training_names_its_loggers_and_closes_them_after_an_error_too(stubs, console, tmp_path):
    seen = []

    class Noted:
        def __init__(self, run):
            seen.append((run.name, run.config["max_steps"], run.first_step))

        def scalars(self, values, step):
            raise ValueError("the service is gone")

        def close(self, *, failed):
            seen.append(("closed", failed))

    stubs.setitem(loggers._LOGGERS, "tensorboard", Noted)
    config = training_config(
        training={"workers": 0, "loggers": ("tensorboard",)}, finetune_steps=1, max_steps=1
    )
    with pytest.raises(ValueError, match="the service is gone"):
        run_training(config, TrainingOptions(tmp_path), console)
    assert seen == [("small", 1, 0), ("closed", True)]
    assert (tmp_path / "train.jsonl").is_file()
    assert not (tmp_path / "events").exists()


def test_a_logger_that_there_is_not_is_refused_with_the_configuration():
    with pytest.raises(ValueError, match="loggers"):
        training_config(training={"loggers": ("tensorbord",)})


def test_a_training_that_ends_leaves_its_files_and_digests(stubs, console, tmp_path):
    seen = []

    class Noted:
        def __init__(self, run):
            assert (run.folder / "config.json").is_file()

        def artifacts(self, artifacts):
            seen.append(artifacts)

        def scalars(self, values, step):
            """Notes nothing."""

        image = scalars

        def close(self, *, failed):
            seen.append(failed)

    stubs.setitem(loggers._LOGGERS, "tensorboard", Noted)
    config = training_config(
        training={"workers": 0, "loggers": ("tensorboard",)}, finetune_steps=1, max_steps=1
    )
    final = run_training(config, TrainingOptions(tmp_path), console)
    artifacts, failed = seen
    assert not failed
    assert artifacts.checkpoints == {"model.ckpt": read_checkpoint(final).sha256}
    assert artifacts.files.keys() == {"config.json"}  # without drives there is no picture
    written = json.loads(artifacts.files["config.json"].read_text())
    assert written == config.model_dump(mode="json")

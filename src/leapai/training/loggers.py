"""Loggers of losses, metrics and pictures of a training: one small interface, several services.

`train.jsonl` is always written. `training.loggers` of the configuration names others: TensorBoard
(the default), Weights & Biases and MLflow, each of which is imported only where it is named.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from uuid import uuid4

from rich.console import Console

from leapai.extras import is_installed, missing
from leapai.io import write_text
from leapai.types import ImageArray

LINES = "train.jsonl"
_EXTRAS = {"tensorboard": "train"}
"""Logger -> extra, where the two have different names."""
_SECTIONS = {"loss": "losses", "seconds": "seconds_of"}
"""First part of a scalar's name -> key of a line under which it stands."""


@dataclass(frozen=True)
class LoggedRun:
    """The run as loggers are given it when they open."""

    folder: Path
    """Output folder; loggers write into it and nowhere else on this machine."""
    name: str
    config: Mapping[str, Any]
    """Plain data: the configuration's sections and values."""
    first_step: int = 0
    """Steps that were done before; 0: the run is new."""


@dataclass(frozen=True)
class Artifacts:
    """Files of a training that has ended."""

    files: Mapping[str, Path]
    """Configuration, report where there is one, pictures: name in the output folder -> path."""
    checkpoints: Mapping[str, str]
    """Name of a checkpoint -> SHA-256 of its file, which stays where it is."""


class Logger(Protocol):
    """Receives what a training reports. Names are paths such as `loss/total` or `val/mAP`."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes values that belong to one optimiser step."""

    def image(self, name: str, picture: ImageArray, step: int) -> None:
        """Writes a picture [H, W, 3] uint8."""

    def artifacts(self, artifacts: Artifacts) -> None:
        """Writes the files of a training that has reached its end."""

    def close(self, *, failed: bool = False) -> None:
        """Writes what is still buffered; nothing is written after it. `failed`: an error ended the
        training."""


class AllLoggers:
    """Passes everything on to each of several loggers; without any, it does nothing."""

    def __init__(self, loggers: Sequence[Logger] = ()) -> None:
        self._loggers = tuple(loggers)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes values that belong to one optimiser step."""
        for logger in self._loggers:
            logger.scalars(values, step)

    def image(self, name: str, picture: ImageArray, step: int) -> None:
        """Writes a picture [H, W, 3] uint8."""
        for logger in self._loggers:
            logger.image(name, picture, step)

    def artifacts(self, artifacts: Artifacts) -> None:
        """Writes the files of a training that has reached its end."""
        for logger in self._loggers:
            logger.artifacts(artifacts)

    def close(self, *, failed: bool = False) -> None:
        """Closes each of the loggers; `failed`: an error ended the training."""
        for logger in self._loggers:
            logger.close(failed=failed)

    def __enter__(self) -> AllLoggers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(failed=kind is not None)


def open_loggers(names: Sequence[str], run: LoggedRun) -> AllLoggers:
    """Opens `train.jsonl` and the loggers of these names.

    Raises ValueError, with the extra to install, where the package of one is missing.
    """
    return AllLoggers([JsonLines(run), *(_LOGGERS[name](run) for name in names)])


def check_loggers(names: Sequence[str]) -> None:
    """Raises ValueError, with the extra to install, where the package of one is missing."""
    for name in names:
        if not is_installed(name):  # a logger has the name of its module
            raise missing(_EXTRAS.get(name, name), f"training.loggers: a logger needs {name}")


@dataclass(frozen=True)
class RunOutput:
    """Outputs of a training: its folder, loggers and console."""

    folder: Path
    loggers: AllLoggers
    console: Console


class JsonLines:
    """Writes a line of `train.jsonl` for the scalars of training; validation is not in it."""

    def __init__(self, run: LoggedRun) -> None:
        self.path = run.folder / LINES
        drop_lines_after(self.path, run.first_step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Appends one line: what the run is like, then losses, then seconds of each stage."""
        line: dict[str, Any] = {"step": step}
        for path, value in values.items():
            section, _, name = path.partition("/")
            if section == "run":
                line[name] = value
            elif section in _SECTIONS:
                line.setdefault(_SECTIONS[section], {})[name] = value
        if len(line) > 1:
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def image(self, name: str, picture: ImageArray, step: int) -> None:
        """Does nothing: lines hold no pictures."""

    def artifacts(self, artifacts: Artifacts) -> None:
        """Does nothing: the files lie next to the lines."""

    def close(self, *, failed: bool = False) -> None:
        """Does nothing: every line is written at once."""


def drop_lines_after(path: Path, step: int) -> None:
    """Drops the lines of steps that a run will take again, and one that a kill cut short."""
    if path.is_file():
        lines = path.read_text().splitlines(keepends=True)
        kept = [x for x in lines if x.endswith("\n") and json.loads(x)["step"] <= step]
        write_text(path, "".join(kept))


class TensorBoardLogger:
    """Writes TensorBoard's events into the folder `events`."""

    def __init__(self, run: LoggedRun) -> None:
        writers = _imported("torch.utils.tensorboard", "train")
        purge = run.first_step + 1 if run.first_step else None
        self._writer = writers.SummaryWriter(str(run.folder / "events"), purge_step=purge)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes each value as a scalar of its own."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def image(self, name: str, picture: ImageArray, step: int) -> None:
        """Writes a picture [H, W, 3] uint8."""
        self._writer.add_image(name, picture, step, dataformats="HWC")

    def artifacts(self, artifacts: Artifacts) -> None:
        """Writes configuration and digests as texts; events hold no pages, and the pictures of
        validation are there already."""
        for name, path in artifacts.files.items():
            if path.suffix == ".json":
                text = "".join(f"    {line}\n" for line in path.read_text().splitlines())
                self._writer.add_text(name, text)
        for name, digest in artifacts.checkpoints.items():
            self._writer.add_text(f"sha256/{name}", digest)

    def close(self, *, failed: bool = False) -> None:
        """Flushes and closes the file of events."""
        self._writer.close()


class WandbLogger:
    """Writes a run of Weights & Biases. Its own variables of the environment hold, such as
    WANDB_PROJECT and WANDB_MODE=offline. A resumed training goes on with the same run."""

    def __init__(self, run: LoggedRun) -> None:
        self._wandb = _imported("wandb", "wandb")
        self._run = self._wandb.init(
            dir=str(run.folder),
            name=run.name,
            config=dict(run.config),
            id=_kept_identity(run, "wandb_run_id", lambda: uuid4().hex[:16]),
            resume="allow",
        )
        # Its own counter may only grow, but a run that was killed takes some steps twice.
        self._run.define_metric("*", step_metric="step")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes the values as one entry of the run's history."""
        self._run.log({**values, "step": step})

    def image(self, name: str, picture: ImageArray, step: int) -> None:
        """Writes a picture [H, W, 3] uint8."""
        self._run.log({name: self._wandb.Image(picture), "step": step})

    def artifacts(self, artifacts: Artifacts) -> None:
        """Writes the files as an artifact of the type `training`, and the digests into it and into
        the summary of the run."""
        digests = {f"sha256/{name}": digest for name, digest in artifacts.checkpoints.items()}
        files = self._wandb.Artifact(f"run-{self._run.id}", type="training", metadata=digests)
        for name, path in artifacts.files.items():
            files.add_file(str(path), name=name)
        self._run.log_artifact(files)
        self._run.summary.update(digests)

    def close(self, *, failed: bool = False) -> None:
        """Ends the run, as finished or as failed, and waits until it is written."""
        self._run.finish(exit_code=int(failed))


class MlflowLogger:
    """Writes a run of MLflow to the server that MLFLOW_TRACKING_URI names, or else into `mlflow.db`
    and `mlartifacts` of the output folder. A resumed training goes on with the same run."""

    def __init__(self, run: LoggedRun) -> None:
        self._mlflow = _imported("mlflow", "mlflow")
        server = os.environ.get("MLFLOW_TRACKING_URI")
        local = f"sqlite:///{(run.folder / 'mlflow.db').absolute()}"
        self._client = self._mlflow.MlflowClient(server or local)
        artifacts = None if server else (run.folder / "mlartifacts").absolute().as_uri()
        self._run_id = _kept_identity(run, "mlflow_run_id", lambda: self._created(run, artifacts))
        self._client.update_run(self._run_id, status="RUNNING")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes the values as metrics of one step."""
        now_ms, metric = int(time.time() * 1000), self._mlflow.entities.Metric
        metrics = [metric(name, value, now_ms, step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def image(self, name: str, picture: ImageArray, step: int) -> None:
        """Writes a picture [H, W, 3] uint8 as an artifact."""
        self._client.log_image(self._run_id, picture, f"{name}/step_{step:06d}.png")

    def artifacts(self, artifacts: Artifacts) -> None:
        """Writes the files as artifacts, and the digests as tags of the run. Pictures of validation
        are artifacts already."""
        for path in artifacts.files.values():
            if path.suffix != ".png":
                self._client.log_artifact(self._run_id, str(path))
        for name, digest in artifacts.checkpoints.items():
            self._client.set_tag(self._run_id, f"sha256/{name}", digest)

    def close(self, *, failed: bool = False) -> None:
        """Marks the run as finished or as failed."""
        self._client.set_terminated(self._run_id, status="FAILED" if failed else "FINISHED")

    def _created(self, run: LoggedRun, artifacts: str | None) -> str:
        """Creates a run in the experiment MLFLOW_EXPERIMENT_NAME, or `leapai`, with the
        configuration as an artifact; returns its identity."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "leapai")
        known = self._client.get_experiment_by_name(name)
        experiment = (
            self._client.create_experiment(name, artifact_location=artifacts)
            if known is None
            else known.experiment_id
        )
        identity = str(self._client.create_run(experiment, run_name=run.name).info.run_id)
        self._client.log_dict(identity, dict(run.config), "config.json")
        return identity


_LOGGERS: Mapping[str, Callable[[LoggedRun], Logger]] = {
    "tensorboard": TensorBoardLogger,
    "wandb": WandbLogger,
    "mlflow": MlflowLogger,
}


def _imported(module: str, extra: str) -> Any:
    """Imports a logger's package. Raises ValueError, with the extra to install, where there is
    none."""
    try:
        return import_module(module)
    except ImportError as error:
        raise missing(extra, f"training.loggers: a logger needs {error.name}") from error


def _kept_identity(run: LoggedRun, file: str, create: Callable[[], str]) -> str:
    """Returns the identity that a service has given the run: the one kept in its folder where the
    run resumes, else a new one."""
    path = run.folder / file
    if run.first_step and path.is_file():
        return path.read_text().strip()
    identity = create()
    path.write_text(identity)
    return identity

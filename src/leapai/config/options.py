"""Options of the commands: each is written once, with its help text, and becomes a command line in
`leapai.cli.arguments`. Importing this module imports neither PyTorch nor pydantic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from leapai.config.problems import ConfigError

CONFIG_VARIABLE = "LEAPAI_TASK_CONFIG"
AUTO = "auto"
"""`--resume auto`: go on where the output folder has something to go on from."""
LAST = "last.ckpt"
"""The checkpoint in the output folder of a training to go on from."""
SubmissionFormat = Literal["nuscenes", "argoverse2"]


@dataclass(frozen=True)
class Argument:
    """Annotation of a field that is an argument of a command."""

    help: str = ""
    flags: tuple[str, ...] = ()
    """Names of the option; derived from the name of the field by default."""
    positional: bool = False
    metavar: str | None = None
    least: int | None = None
    """Smallest number that is valid."""
    parse: Callable[[str], object] | None = None
    """Reads the text where the type does not say how."""
    required: bool = True
    """A field without a default must be given; False: the command fills it in."""


_Folder = Annotated[Path, Argument("default: outputs/JOB_NAME", metavar="FOLDER", required=False)]


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training in addition to its configuration."""

    output: _Folder
    checkpoint: Annotated[
        Path | None,
        Argument(
            "start from these weights, such as those of Step 1", flags=("--ckpt",), metavar="FILE"
        ),
    ] = None
    resume: Annotated[
        str | None,
        Argument(
            "continue the training of this checkpoint; auto: that of the output folder",
            metavar="FILE",
        ),
    ] = None
    data: Annotated[str | None, Argument("instead of data.train, as for val")] = None
    steps: Annotated[
        int | None,
        Argument("train N steps, with all schedules scaled", metavar="N", least=1),
    ] = None
    workers: Annotated[
        int | None,
        Argument("processes that read frames; 0: the training process", metavar="N", least=0),
    ] = None

    def resume_from(self) -> Path | None:
        """Returns the checkpoint to go on from, if any.

        Raises ValueError where the run would overwrite another one.
        """
        last = self.output / LAST
        if self.resume == AUTO:
            return last if last.is_file() else None
        if self.resume is None and last.is_file():
            raise ValueError(
                f"{last} exists: there has been a training in this folder; say --resume auto to go "
                "on with it, or name another folder with --output"
            )
        return Path(self.resume) if self.resume else None

    def make_output(self) -> None:
        """Makes the output folder and tries to write there, before anything takes time. Raises
        OSError."""
        self.output.mkdir(parents=True, exist_ok=True)
        probe = self.output / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)

    def check_files(self) -> None:
        """Raises ValueError where the checkpoint that is named to begin from or to go on from does
        not exist."""
        if self.resume == AUTO:
            return  # where there is something to go on from, the checkpoint is not read
        named = self.resume or self.checkpoint
        if named:
            existing_checkpoint(Path(named))


@dataclass(frozen=True)
class ValidationOptions:
    """Options of a validation in addition to its configuration."""

    output: _Folder
    data: Annotated[
        str | None,
        Argument("instead of data.val: synthetic[:OPTIONS], nuscenes:ROOT, argoverse2:ROOT"),
    ] = None
    checkpoint: Annotated[
        Path | None, Argument("checkpoint to load", flags=("--ckpt",), metavar="FILE")
    ] = None
    random_weights: Annotated[bool, Argument("run an untrained network, without --ckpt")] = False
    max_frames: Annotated[
        int | None, Argument("at most N frames of each drive", metavar="N", least=1)
    ] = None
    submission: Annotated[
        SubmissionFormat | None,
        Argument(
            "also write a submission to this benchmark, from its own data",
            flags=("--format",),
        ),
    ] = None
    viewer: Annotated[bool, Argument("record each drive while it streams, for leapai view")] = False

    def check_files(self) -> None:
        """Raises ValueError where there are no weights to load or their file does not exist."""
        if self.checkpoint is not None:
            existing_checkpoint(self.checkpoint)
        elif not self.random_weights:
            raise ValueError(
                "--ckpt is missing: name a checkpoint, or say --random-weights to run without one"
            )


def existing_checkpoint(path: Path) -> Path:
    """Returns the path of a checkpoint. Raises ValueError where it is a folder or does not
    exist."""
    if path.is_dir():
        raise ValueError(f"checkpoint {path}: is a folder; name a checkpoint file in it")
    if not path.is_file():
        raise ValueError(f"checkpoint {path}: there is no such file")
    return path


def existing_config(path: str | Path) -> Path:
    """Returns the path of a task configuration. Raises ConfigError where there is no such file."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file; name a task configuration")
    return path

"""Options of the commands: each is written once, with its help text, and becomes a command line in
`leapai.cli.arguments`. Importing this module imports neither PyTorch nor pydantic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from leapai.config.checkpoint_names import (
    CHECKPOINT_WORDS,
    existing_checkpoint,
    existing_network,
    is_exported,
)
from leapai.extras import RecordingFormat

CONFIG_VARIABLE = "LEAPAI_TASK_CONFIG"
AUTO = "auto"
"""`--resume auto`: go on where the output folder has something to go on from."""
LAST = "last.ckpt"
"""The checkpoint in the output folder of a training to go on from."""
EXIT_OF_SIGNAL = 128
"""Exit status of a program that a signal ended: this plus the signal's number."""
BEFORE_LAST = "before_last.ckpt"
"""The checkpoint written before that, to go on from where the last one is damaged."""
DATA_WORDS = (
    "a folder or file of sensor data, synthetic[:OPTIONS], nuscenes:ROOT, argoverse2:ROOT, or "
    "module:function:location"
)
"""How data is named, for help texts."""
RECORDED_WORDS = "also record each drive: mcap, for Foxglove; rosbag, its results for ROS 2"
SubmissionFormat = Literal["nuscenes", "argoverse2"]
ResultFormat = Literal["mcap", "rosbag"]
WeightType = Literal["float32", "float16", "int8"]
"""Type in which an exported graph keeps its weights, from the largest to the smallest."""


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
    completions: Callable[[], Iterable[str]] | None = None
    """Lists values that the shell's completion offers, in addition to files."""


_Folder = Annotated[
    Path, Argument("folder to write; default: outputs/JOB_NAME", metavar="FOLDER", required=False)
]


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training in addition to its configuration."""

    output: _Folder
    checkpoint: Annotated[
        Path | None,
        Argument(
            f"start from these weights, such as those of Step 1: {CHECKPOINT_WORDS}",
            flags=("--ckpt",),
            metavar="FILE",
        ),
    ] = None
    resume: Annotated[
        str | None,
        Argument(
            "continue the training of this checkpoint; auto: that of the output folder",
            metavar="FILE",
        ),
    ] = None
    data: Annotated[
        tuple[str, ...],
        Argument(
            "instead of data.train; given several times, the sources are mixed, and WEIGHT "
            "(default: 1) is the share of the clips",
            metavar="DATA[@WEIGHT]",
        ),
    ] = ()
    val_data: Annotated[str | None, Argument("instead of data.val", metavar="DATA")] = None
    steps: Annotated[
        int | None,
        Argument("train N steps, with all schedules scaled", metavar="N", least=1),
    ] = None
    workers: Annotated[
        int | None,
        Argument(
            "processes that read frames; 0: the training process (default: by the number of cores)",
            metavar="N",
            least=0,
        ),
    ] = None

    resume_command: str = "--resume auto"
    """The command line that goes on with this training after a stop."""

    def resume_from(self) -> Path | None:
        """Returns the checkpoint to go on from, if any.

        Raises ValueError where the run would overwrite another one.
        """
        last = self.output / LAST
        if self.resume == AUTO:
            return last if last.is_file() or (self.output / BEFORE_LAST).is_file() else None
        if self.resume is None and last.is_file():
            raise ValueError(
                f"{last} exists: there has been a training in this folder; say --resume auto to go "
                "on with it, or name another folder with --output"
            )
        return Path(self.resume) if self.resume else None

    def new_output(self) -> AbstractContextManager[None]:
        """Returns the context that makes the output folder, before anything takes time, and removes
        it where nothing came into it (`folders.new_folder`)."""
        from leapai.folders import new_folder

        return new_folder(self.output)

    def hold_output(self) -> AbstractContextManager[None]:
        """Returns the context in which no other process may train in the output folder."""
        from leapai.folders import sole_user

        return sole_user(self.output)

    def check_files(self) -> None:
        """Raises ValueError where the checkpoint that is named to begin from or to go on from does
        not exist."""
        if self.resume == AUTO:
            return  # where there is something to go on from, the checkpoint is not read
        named = self.resume or self.checkpoint
        if named:
            existing_checkpoint(Path(named))


@dataclass(frozen=True)
class CacheOptions:
    """Options of filling the caches of a training in addition to its configuration."""

    checkpoint: Annotated[
        Path | None,
        Argument(
            "weights of Step 1, whose features cache.features_gb keeps",
            flags=("--ckpt",),
            metavar="FILE",
        ),
    ] = None
    data: Annotated[
        tuple[str, ...],
        Argument("instead of data.train; may be repeated", metavar="DATA[@WEIGHT]"),
    ] = ()
    val_data: Annotated[str | None, Argument("instead of data.val", metavar="DATA")] = None
    workers: Annotated[
        int | None, Argument("processes that read frames; 0: this one", metavar="N", least=0)
    ] = None
    rank: Annotated[
        int | None,
        Argument(
            "number of this process among those that fill the caches together, from 0 on; "
            "default: RANK of the environment",
            metavar="R",
            least=0,
        ),
    ] = None
    world_size: Annotated[
        int | None,
        Argument("number of those processes; default: WORLD_SIZE", metavar="N", least=1),
    ] = None

    def shard(self, environment: Mapping[str, str]) -> tuple[int, int]:
        """Returns the number of this process, and of all.

        Raises ValueError where one is given without the other, or they contradict each other.
        """
        rank, count = self.rank, self.world_size
        if (rank is None) != (count is None):
            raise ValueError("--rank and --world-size belong together: give both or neither")
        if rank is None or count is None:
            rank, count = (int(environment.get(*of)) for of in (("RANK", "0"), ("WORLD_SIZE", "1")))
        if rank >= count:
            raise ValueError(
                f"rank {rank} of {count} processes: ranks are 0 to {count - 1}, and the world size "
                f"is the number of processes"
            )
        return rank, count

    def of_training(self) -> TrainingOptions:
        """Returns the options, as far as these decide them, of the training that reads the
        caches."""
        return TrainingOptions(
            Path(), self.checkpoint, None, self.data, self.val_data, None, self.workers
        )


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """The frames that get a picture. A video shows the same pictures, in real time."""

    pictures: Annotated[
        bool, Argument("write no pictures of the frames and no video", flags=("--no-pictures",))
    ] = True
    every: Annotated[
        int | None,
        Argument(
            "write pictures of every N-th frame of a drive, from its first on; the video shows "
            "these, in real time",
            metavar="N",
            least=1,
        ),
    ] = None

    def picture_step(self, by_default: bool = True) -> int | None:
        """Returns N where every N-th frame of a sequence gets a picture; None: no frame does.

        `by_default`: without options every frame gets one. Raises ValueError for
        options that contradict each other.
        """
        if self.pictures:
            return self.every or (1 if by_default else None)
        if self.every is not None:
            raise ValueError(
                "--no-pictures and --every contradict each other; leave one of them out"
            )
        return None


@dataclass(frozen=True)
class ValidationOptions(PictureOptions):
    """Options of a validation in addition to its configuration."""

    output: _Folder
    data: Annotated[
        str | None,
        Argument(f"instead of data.val: {DATA_WORDS}"),
    ] = None
    checkpoint: Annotated[
        Path | None,
        Argument(
            f"checkpoint, {CHECKPOINT_WORDS}, or the folder of an exported network; without a "
            "configuration, its own is used; without both, the network that ships is run",
            flags=("--ckpt",),
            metavar="PATH",
        ),
    ] = None
    random_weights: Annotated[bool, Argument("run an untrained network, without --ckpt")] = False
    max_frames: Annotated[
        int | None, Argument("at most N frames of each drive", metavar="N", least=1)
    ] = None
    format: Annotated[
        SubmissionFormat | ResultFormat | None,
        Argument(
            "also write a submission to this benchmark, from its own data; mcap: record each drive "
            "for Foxglove; rosbag: its results for ROS 2"
        ),
    ] = None
    viewer: Annotated[bool, Argument("record each drive while it streams, for leapai view")] = False
    memory: Annotated[
        bool, Argument("write tables of the temporal memory: queries, slots, alignment")
    ] = False

    @property
    def submission(self) -> SubmissionFormat | None:
        """The benchmark to submit to; None: none."""
        match self.format:
            case "mcap" | "rosbag":
                return None
            case benchmark:
                return benchmark

    @property
    def recordings(self) -> tuple[RecordingFormat, ...]:
        """Formats in which each drive is recorded."""
        return _recordings(self.viewer, self.format)

    def check_files(self) -> None:
        """Raises ValueError where there are no weights to load, their file does not exist, or they
        cannot give what is asked for."""
        if self.checkpoint is not None:
            existing_network(self.checkpoint)
            self._check_memory(self.checkpoint)
        elif not self.random_weights:
            raise ValueError(
                "--ckpt is missing: name a checkpoint, or say --random-weights to run without one"
            )

    def _check_memory(self, checkpoint: Path) -> None:
        if self.memory and is_exported(checkpoint):
            raise ValueError(
                f"--memory: {checkpoint} is an exported network, whose graph gives the next frame "
                "what it must read, but not the queries, the history that the decoder reads and "
                "the angle bins that the tables hold; name the checkpoint that was exported"
            )


@dataclass(frozen=True)
class PredictionOptions(PictureOptions):
    """Options of a prediction, which needs no labels and no configuration."""

    source: Annotated[
        str,
        Argument(
            f"{DATA_WORDS}; labels are not needed",
            positional=True,
            metavar="SOURCE",
        ),
    ]
    output: Annotated[
        Path | None,
        Argument("folder to write; default: outputs/predict/NAME_OF_SOURCE", metavar="FOLDER"),
    ] = None
    checkpoint: Annotated[
        Path | None,
        Argument(
            f"checkpoint, {CHECKPOINT_WORDS}, or the folder of an exported network; default: the "
            "weights that ship with leapai",
            flags=("--ckpt",),
            metavar="PATH",
        ),
    ] = None
    max_frames: Annotated[
        int | None, Argument("at most N frames of each drive", metavar="N", least=1)
    ] = None
    format: Annotated[ResultFormat | None, Argument(RECORDED_WORDS)] = None
    viewer: Annotated[
        bool, Argument("record each drive while it streams, for the viewer rerun")
    ] = False

    @property
    def recordings(self) -> tuple[RecordingFormat, ...]:
        """Formats in which each drive is recorded."""
        return _recordings(self.viewer, self.format)


def _recordings(
    viewer: bool, format: SubmissionFormat | ResultFormat | None
) -> tuple[RecordingFormat, ...]:
    rerun: tuple[RecordingFormat, ...] = ("rerun",) if viewer else ()
    return (*rerun, format) if format in ("mcap", "rosbag") else rerun

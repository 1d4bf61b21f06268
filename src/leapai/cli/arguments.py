"""What the commands can be told: their options, and how these are read."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

DEMO_DATA = "synthetic:split=val,drives=1,rate_hz=4"
RUNS_HELP = "table that `leapai val` keeps beside its run folders; default: outputs/runs.parquet"


def add_task_config(parser: ArgumentParser, otherwise: str = "") -> None:
    """Of every command that needs a task configuration."""
    said = f"task configuration; without it the one that LEAPAI_TASK_CONFIG names{otherwise}"
    parser.add_argument("--task-config", metavar="FILE", help=said)


def add_train(parser: ArgumentParser) -> None:
    """Of `leapai train`."""
    add_task_config(parser)
    parser.add_argument(
        "--ckpt", type=Path, metavar="FILE", help="begin from these weights, such as Step 1's"
    )
    parser.add_argument(
        "--resume", metavar="FILE", help="go on with this training; auto: with that of the folder"
    )
    parser.add_argument("--data", help="instead of data.train, as for val")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: outputs/JOB_NAME")
    parser.add_argument(
        "--steps", type=_count, metavar="N", help="a short run; schedules shrink with it"
    )
    parser.add_argument(
        "--workers", type=_whole, metavar="N", help="processes that read frames; 0: this one reads"
    )


def add_val(parser: ArgumentParser) -> None:
    """Of `leapai val`."""
    add_task_config(parser, ", and without either that of the checkpoint")
    parser.add_argument("--ckpt", type=Path, metavar="FILE", help="checkpoint to load")
    parser.add_argument(
        "--random-weights", action="store_true", help="run an untrained network, without --ckpt"
    )
    parser.add_argument(
        "--data", help="instead of data.val: synthetic[:OPTIONS], nuscenes:ROOT, argoverse2:ROOT"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: outputs/JOB_NAME")
    parser.add_argument("--max-frames", type=_count, metavar="N", help="of each drive")
    parser.add_argument(
        "--format",
        choices=("nuscenes", "argoverse2"),
        help="write a submission to this benchmark, too; the data must be of it",
    )
    _add_viewer(parser)


def add_merge(parser: ArgumentParser) -> None:
    """Of `leapai merge`."""
    parser.add_argument("dynamic", type=Path, metavar="STEP2_DYNAMIC")
    parser.add_argument("static", type=Path, metavar="STEP2_STATIC")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True)


def add_report(parser: ArgumentParser) -> None:
    """Of `leapai report`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that `leapai val` wrote")
    parser.add_argument(
        "other", type=Path, metavar="RUN_B", nargs="?", help="another, to compare it with"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="default: report.html in RUN, or report_against_RUN_B.html",
    )


def add_runs(parser: ArgumentParser) -> None:
    """Of `leapai runs`."""
    parser.add_argument(
        "numbers", type=_count, metavar="N", nargs="*", help="two runs to compare, by their numbers"
    )
    parser.add_argument(
        "--table", type=Path, metavar="FILE", default=Path("outputs/runs.parquet"), help=RUNS_HELP
    )


def add_inspect(parser: ArgumentParser) -> None:
    """Of `leapai inspect`."""
    parser.add_argument("data", help="synthetic[:OPTIONS], nuscenes:ROOT or argoverse2:ROOT")
    parser.add_argument("--json", action="store_true", help="figures as JSON on stdout")
    parser.add_argument(
        "--stats", action="store_true", help="instead: how objects, sizes and motion are spread"
    )
    parser.add_argument("--against", metavar="DATA", help="with --stats: data to compare with")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", default=Path("outputs/inspect"), help="of pictures"
    )
    parser.add_argument(
        "--max-frames", type=_count, metavar="N", default=40, help="frames whose sensors are read"
    )
    parser.add_argument(
        "--pictures", type=_count, metavar="N", default=2, help="frames to draw; default: 2"
    )


def add_export(parser: ArgumentParser) -> None:
    """Of `leapai world export`."""
    parser.add_argument("output", type=Path, metavar="OUT", help="a folder that does not exist yet")
    parser.add_argument("--format", required=True, choices=("nuscenes",))
    parser.add_argument("--drives", type=_count, metavar="N", default=1)
    parser.add_argument(
        "--world",
        metavar="OPTIONS",
        default="",
        help="of the drives: seed=3,frames=40,place=street",
    )
    parser.add_argument(
        "--image-size", type=_size, metavar="HxW", default=(450, 800), help="default: 450x800"
    )


def add_demo(parser: ArgumentParser) -> None:
    """Of `leapai demo`."""
    parser.add_argument("--output", type=Path, metavar="FOLDER", default=Path("outputs/demo"))
    parser.add_argument("--data", default=DEMO_DATA, help=f"default: {DEMO_DATA}")
    parser.add_argument("--max-frames", type=_count, metavar="N", help="of each drive")
    _add_viewer(parser)


def add_view(parser: ArgumentParser) -> None:
    """Of `leapai view`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that `leapai val` wrote")
    parser.add_argument("--drive", metavar="NAME", help="default: the first of the run")
    parser.add_argument(
        "--no-open", dest="opens", action="store_false", help="write the recording, show nothing"
    )


def _add_viewer(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--viewer", action="store_true", help="record each drive while it streams, for leapai view"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"'{text}' must be a whole number, 1 or more")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"'{text}' must be a whole number, 0 or more")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ArgumentTypeError(f"'{text}' must be HEIGHTxWIDTH, for example 450x800")
    return int(height), int(width)

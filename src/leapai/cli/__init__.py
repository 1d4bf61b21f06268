"""The command `leapai`. Thin: a command reads its options, imports what it needs and calls it.

A user's mistake (ValueError, OSError) ends a command with one line on stderr and exit status 2;
anything else is a fault of ours and shows its traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from leapai.cli.options import (
    add_demo,
    add_export,
    add_inspect,
    add_merge,
    add_report,
    add_runs,
    add_task_config,
    add_train,
    add_val,
    add_view,
)

if TYPE_CHECKING:
    from leapai.checkpoints import Checkpoint
    from leapai.config import TaskConfig

INSPECTION_IMAGE_SIZE_PX = (256, 480)
"""At which a source that renders does so for `leapai inspect`."""
STATISTICS_IMAGE_SIZE_PX = (64, 120)
"""The same for `--stats`, which looks at no image."""
USER_ERROR = 2


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        self.exit(fail(f"{message}; see {self.prog} --help"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 2 for a user's mistake, 130 when interrupted.

    `arguments` are those of the process by default. Raises SystemExit for `--help` and for
    arguments that cannot be read.
    """
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        if options.traceback:
            raise
        return fail(str(error))
    return 0


def fail(message: str) -> int:
    """Says a user's mistake as one line on stderr; returns its exit status."""
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    return USER_ERROR


def _parser() -> _Parser:
    parser = _Parser(prog="leapai", description="Streaming 3D perception with memory.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_train(_command(commands, "train", _train, "train the network of a configuration"))
    add_val(_command(commands, "val", _validate, "stream drives; figures, report, pictures"))
    add_task_config(
        _command(commands, "config", _print_config, "check a configuration and print it in full")
    )
    add_merge(
        _command(
            commands, "merge", _merge, "make one checkpoint of Step 2 Dynamic and Step 2 Static"
        )
    )
    add_report(
        _command(commands, "report", _report, "write the report of a run, or of two side by side")
    )
    add_runs(_command(commands, "runs", _runs, "list the runs so far, or compare two of them"))
    add_inspect(
        _command(commands, "inspect", _inspect, "what a data set holds, and whether it is right")
    )
    add_demo(
        _command(
            commands, "demo", _demo, "the embedded world through the tiny network, with its report"
        )
    )
    add_view(_command(commands, "view", _view, "look at a run in rerun's interactive viewer"))
    _add_world(commands)
    info = _command(commands, "info", _info, "what a bug report needs")
    info.add_argument("--json", action="store_true", help="all of it as JSON on stdout")
    return parser


def _add_world(commands: argparse._SubParsersAction[_Parser]) -> None:
    purpose = "the embedded world for other programs"
    world = commands.add_parser("world", help=purpose, description=purpose)
    inner = world.add_subparsers(required=True, metavar="COMMAND")
    add_export(_command(inner, "export", _export, "write drives as a data set of a known format"))


def _command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    run: Callable[[argparse.Namespace], None],
    purpose: str,
) -> _Parser:
    parser = commands.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
    parser.set_defaults(command=run)
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")
    return parser


def _load(options: argparse.Namespace) -> TaskConfig:
    """Returns the configuration of `--task-config`, or else of the environment."""
    from leapai.config import CONFIG_VARIABLE, ConfigError, load_config

    path = options.task_config or os.environ.get(CONFIG_VARIABLE)
    if not path:
        raise ConfigError(
            f"{CONFIG_VARIABLE} is not set and there is no --task-config: name a task "
            "configuration, for example projects/perception/configs/tiny_step2_dynamic.py"
        )
    return load_config(path)


def _load_with_checkpoint(
    options: argparse.Namespace,
) -> tuple[TaskConfig, Path | Checkpoint | None]:
    """Returns the configuration, by default that of `--ckpt`, and the checkpoint as far as it was
    read for it."""
    from leapai.config import CONFIG_VARIABLE

    if not options.ckpt or options.task_config or os.environ.get(CONFIG_VARIABLE):
        return _load(options), options.ckpt
    from leapai.checkpoints import read_checkpoint

    checkpoint = read_checkpoint(options.ckpt)
    return checkpoint.config, checkpoint


def _train(options: argparse.Namespace) -> None:
    config = _load(options)
    from leapai.training.train import TrainingOptions, run_training

    run_training(
        config,
        TrainingOptions(
            output=options.output or Path("outputs") / config.job_name,
            checkpoint=options.ckpt,
            resume=options.resume,
            data=options.data,
            steps=options.steps,
            workers=options.workers,
        ),
    )


def _validate(options: argparse.Namespace) -> None:
    config, checkpoint = _load_with_checkpoint(options)
    from leapai.validation import ValidationOptions, run_validation

    run_validation(
        config,
        ValidationOptions(
            output=options.output or Path("outputs") / config.job_name,
            data=options.data,
            checkpoint=checkpoint,
            random_weights=options.random_weights,
            max_frames=options.max_frames,
            submission=options.format,
            viewer=options.viewer,
        ),
    )


def _merge(options: argparse.Namespace) -> None:
    from leapai.training.merge import merge_checkpoints

    merge_checkpoints(options.dynamic, options.static, options.output)
    _say(f"both tasks on one trunk -> {options.output}")


def _report(options: argparse.Namespace) -> None:
    from leapai.report.page import write_report
    from leapai.runs.run_folder import REPORT

    name, folders = REPORT, [options.run]
    if options.other:
        name, folders = (
            f"report_against_{options.other.resolve().name}.html",
            [*folders, options.other],
        )
    path = options.output or options.run / name
    write_report(path, folders)
    sys.stdout.write(f"{path}\n")


def _runs(options: argparse.Namespace) -> None:
    if len(options.numbers) not in (0, 2):
        raise ValueError("leapai runs takes no number, or the numbers of two runs to compare")
    from rich.console import Console

    from leapai.report.terminal_runs import comparison_table, runs_table
    from leapai.runs.history import read_runs

    lines = read_runs(options.table)
    if options.numbers:
        Console().print(comparison_table(lines, *options.numbers))
    else:
        Console().print(runs_table(lines))


def _print_config(options: argparse.Namespace) -> None:
    config = _load(options)
    from rich.console import Console
    from rich.syntax import Syntax

    from leapai.config import explain

    text = explain(config)
    if sys.stdout.isatty():
        Console().print(Syntax(text, "python", background_color="default", word_wrap=True))
    else:
        sys.stdout.write(text)


def _inspect(options: argparse.Namespace) -> None:
    if options.stats:
        _inspect_statistics(options)
        return
    if options.against:
        raise ValueError("--against compares statistics; say --stats, too")
    from rich.console import Console

    from leapai.data.log import open_logs
    from leapai.inspection.inspection_pictures import write_pictures
    from leapai.inspection.log_inspection import inspect_logs, render_inspection

    logs = open_logs(options.data, image_size_px=INSPECTION_IMAGE_SIZE_PX)
    inspection = inspect_logs(logs, options.max_frames)
    if options.json:
        sys.stdout.write(inspection.model_dump_json(indent=2) + "\n")
    else:
        Console().print(render_inspection(inspection))
    written = write_pictures(logs, options.output, options.pictures)
    if not options.json:
        sys.stdout.write(f"{written} pictures -> {options.output}\n")


def _inspect_statistics(options: argparse.Namespace) -> None:
    from rich.console import Console

    from leapai.data.log import open_logs
    from leapai.inspection.comparison import compare, render_statistics
    from leapai.inspection.inspection_pictures import write_statistics_picture
    from leapai.inspection.statistics import collect

    names = [options.data, options.against] if options.against else [options.data]
    samples = [
        collect(open_logs(name, image_size_px=STATISTICS_IMAGE_SIZE_PX), options.max_frames)
        for name in names
    ]
    other = samples[1] if options.against else None
    statistics = compare(options.data, samples[0], options.against, other)
    picture = options.output / "statistics.png"
    write_statistics_picture(picture, names, samples)
    if options.json:
        sys.stdout.write(statistics.model_dump_json(indent=2) + "\n")
    else:
        Console().print(render_statistics(statistics))
        sys.stdout.write(f"{picture}\n")


def _demo(options: argparse.Namespace) -> None:
    from leapai.checkpoints import read_checkpoint
    from leapai.validation import ValidationOptions, run_validation
    from leapai.weights import shipped_checkpoint

    checkpoint = read_checkpoint(shipped_checkpoint())
    run_validation(
        checkpoint.config,
        ValidationOptions(
            output=options.output,
            data=options.data,
            checkpoint=checkpoint,
            max_frames=options.max_frames,
            viewer=options.viewer,
        ),
    )


def _info(options: argparse.Namespace) -> None:
    import json
    from dataclasses import asdict

    from leapai.runs.system_info import render_info, system_info

    info = system_info()
    text = json.dumps(asdict(info), indent=2) if options.json else render_info(info)
    sys.stdout.write(f"{text}\n")


def _view(options: argparse.Namespace) -> None:
    from leapai.runs.recordings import view_run

    view_run(options.run, options.drive, opens=options.opens)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _export(options: argparse.Namespace) -> None:
    from leapai_world import open_logs
    from leapai_world.export_nuscenes import export_nuscenes

    given = f"{options.world}," if options.world else ""
    location = f"{given}rig=six,drives={options.drives}"
    drives = open_logs(location, image_size_px=options.image_size)
    keyframes = export_nuscenes(drives, options.output, _say)
    sys.stdout.write(f"{len(drives)} drives, {keyframes} keyframes -> {options.output}\n")

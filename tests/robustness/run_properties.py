"""What is handed on is damaged: frames, checkpoints, folders of runs, tables of runs, names."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hypothesis import strategies as st
from rich.console import Console

from leapai.checkpoints import (
    header,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    write_checkpoint,
)
from leapai.data.transforms import collate, prepare
from leapai.folders import file_name, inside
from leapai.models.build import build_model
from leapai.report.page import write_report
from leapai.report.terminal_runs import comparison_table, runs_tables
from leapai.runs.history import RunLine, append_run, read_runs
from leapai.runs.recordings import view_run
from leapai.streaming.sensor_health import health_of
from leapai.streaming.session import StreamSession
from leapai.streaming.stream import Stream
from leapai.types import Labels
from tests.made_up_runs import made_up_drive, made_up_run, write
from tests.robustness.damage import (
    TEXTS,
    damaged_bytes,
    damaged_json,
    damaged_parquet,
    damaged_value,
)
from tests.robustness.data_properties import damaging
from tests.robustness.frame_damage import BOXES, damaged
from tests.robustness.promise import Draw, Outcome, Property, Sandbox, outcome_of
from tests.scenes import IMAGE_SIZE_PX, joint_config, make_frame, seeded_model, small_config

Check = Callable[[Draw], Outcome]


def frames(folder: Path) -> Check:
    """Fields of a frame, of its cameras and of its labels."""
    whole = replace(make_frame(1), labels=Labels.unlabelled(BOXES, np.arange(5)))
    last = make_frame(0)

    def check(draw: Draw) -> Outcome:
        frame = damaged(whole, draw(st.randoms()))

        def use() -> bool:
            prepared = prepare(frame, IMAGE_SIZE_PX, last=last)
            batch = collate([prepared], [True])
            for tensor in (batch.intrinsics, batch.ego_from_camera, batch.points):
                assert tensor.isfinite().all()
            health = health_of(prepared, None)
            assert set(health.sensors) == {*(c.name for c in frame.cameras), "lidar"}
            return bool(health.failing)

        return outcome_of(use, " us: ", "a frame is a leapai.Frame")

    return check


def streams(folder: Path) -> Check:
    """A damaged frame in a stream: the next frame is streamed as if it had not come, or with
    finite numbers."""
    torch.set_num_threads(1)
    config = joint_config()
    model = seeded_model(config)
    whole = replace(make_frame(1), labels=Labels.unlabelled(BOXES, np.arange(5)))
    stream = Stream(StreamSession(model, config))
    stream.step(make_frame(0))
    undisturbed = stream.step(make_frame(2)).boxes

    def check(draw: Draw) -> Outcome:
        stream = Stream(StreamSession(model, config))
        stream.step(make_frame(0))
        frame = damaged(whole, draw(st.randoms()))

        def use() -> bool:
            return bool(stream.step(frame).health.failing)

        outcome = outcome_of(use, " us: ")
        is_next = outcome is Outcome.REFUSED or stream.last.detections.sequence == "drive"
        if is_next and getattr(frame, "timestamp_us", 0) == whole.timestamp_us:
            after = stream.step(make_frame(2))
            assert np.isfinite(after.boxes).all()
            assert outcome is not Outcome.REFUSED or np.array_equal(after.boxes, undisturbed)
        return outcome

    return check


def checkpoint_bytes(folder: Path) -> Check:
    """Bytes of a checkpoint."""
    config, path = small_config(), folder / "model.ckpt"
    model = seeded_model(config)
    save_checkpoint(path, model, config, {"mAP": 0.5})
    whole = path.read_bytes()
    here = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def check(draw: Draw) -> Outcome:
        content = damaged_bytes(draw, whole)
        path.write_bytes(content)

        def use() -> bool:
            load_checkpoint(path, model)
            assert content == whole or all(
                torch.equal(here[name], tensor) for name, tensor in model.state_dict().items()
            ), "loaded with other content"
            return False

        return outcome_of(use, "model.ckpt")

    return check


def checkpoints(folder: Path) -> Check:
    """Content of a checkpoint that somebody has made, with digests that are right."""
    config, path = small_config(), folder / "model.ckpt"
    state = dict(seeded_model(config).state_dict())
    plain = {**header(config), "figures": {"mAP": 0.5}}

    def check(draw: Draw) -> Outcome:
        content = plain
        for _ in range(draw(st.integers(0, 2))):
            content = damaged_value(draw, content)
        weights = dict(state)
        if draw(st.integers(0, 2)) == 0:
            name = draw(st.sampled_from(sorted(weights)))
            weights[name] = draw(st.sampled_from(_WEIGHTS))(weights[name])
        try:
            write_checkpoint(path, {"state_dict": weights, **content})
        except (TypeError, ValueError, UnicodeEncodeError):  # no writer makes such a file
            return Outcome.REFUSED

        def use() -> bool:
            read = read_checkpoint(path)
            with torch.device("meta"):  # what the configuration asks for, without its memory
                model = build_model(read.config)
            with warnings.catch_warnings():  # that nothing is copied, which is meant
                warnings.simplefilter("ignore", UserWarning)
                load_checkpoint(read, model)
            return False

        return outcome_of(use, "model.ckpt", *_OF_CONFIGURATION)

    return check


_OF_CONFIGURATION = ("camera.backbone", "configuration")
_WEIGHTS: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    lambda weight: weight.double(),
    lambda weight: weight.bool(),
    lambda weight: weight.flatten(),
    lambda weight: weight[..., :0] if weight.dim() else weight,
    lambda weight: weight * 1e30,
    lambda weight: weight * float("nan"),
    lambda weight: -weight,
    lambda weight: weight.half(),
    lambda weight: torch.zeros(0),
)


def runs(folder: Path) -> Check:
    """The folder of a run, that a report is made of."""
    write(folder / "run", made_up_run([made_up_drive(0, frames=4), made_up_drive(1, frames=4)]))
    (folder / "secret.txt").write_text("a secret of the user")
    page = folder.parent / f"{folder.name}.html"
    damages = {
        ".json": damaged_json,
        ".parquet": damaged_parquet,
        ".webp": damaged_bytes,
    }

    def use() -> bool:
        write_report(page, [folder / "run"])
        assert "a secret of the user" not in page.read_text()
        return False

    assert not use()
    return damaging(Sandbox(folder), damages, use)


def viewed(folder: Path) -> Check:
    """The folder of a run, that the viewer shows: the data that it names is not opened."""
    write(folder / "run", made_up_run([made_up_drive(0, frames=2)], data="trap:open_logs:x"))

    def check(draw: Draw) -> Outcome:
        files = {"run/run.json": damaged_json(draw, sandbox.whole["run/run.json"])}
        with sandbox.damaged(files):
            return outcome_of(use, "run", "data")

    def use() -> bool:
        view_run(folder / "run", None, opens=False)
        raise AssertionError("the data of a run that others made was opened")

    sandbox = Sandbox(folder)
    return check


def tables_of_runs(folder: Path) -> Check:
    """The table of runs, read and added to."""
    path = folder / "runs.parquet"
    line = RunLine.of(made_up_run([made_up_drive(0, frames=4)]), folder / "run")
    append_run(path, line)
    append_run(path, line)
    whole = path.read_bytes()

    def check(draw: Draw) -> Outcome:
        path.write_bytes(damaged_parquet(draw, whole))

        def use() -> bool:
            lines = read_runs(path)
            console = Console(file=io.StringIO(), width=200)
            console.print(*runs_tables(lines, console.width))
            if len(lines) > 1:
                console.print(comparison_table(lines, 1, 2))
            append_run(path, line)
            assert len(read_runs(path)) == len(lines) + 1
            return False

        return outcome_of(use, "runs.parquet")

    return check


def names(folder: Path) -> Check:
    """Names of sequences and cameras as names of files: inside, short, and apart."""
    words = st.text(max_size=12) | st.sampled_from(TEXTS) | st.text("./a\\-", max_size=6)

    def check(draw: Draw) -> Outcome:
        first, second = draw(words), draw(words)
        made = [file_name(first), file_name(second)]
        assert (first == second) == (made[0] == made[1])
        for name in made:
            path = folder / f"{name}.mp4"
            path.touch()  # the disk takes it
            assert path.parent == folder
            assert path.resolve().parent == folder.resolve()
            assert name == name.strip(". -")
            path.unlink()
        assert inside(folder, first) is None
        return Outcome.USED

    return check


PROPERTIES = (
    Property("frames", frames, 250),
    Property("streams", streams, 12),
    Property("bytes of checkpoints", checkpoint_bytes, 60),
    Property("checkpoints", checkpoints, 15),
    Property("runs", runs, 40),
    Property("viewed runs", viewed, 25),
    Property("tables of runs", tables_of_runs, 50),
    Property("names", names, 150),
)

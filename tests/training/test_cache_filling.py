"""Caches that are filled before a training: shards are together exactly the whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from leapai import cli
from leapai.checkpoints import save_checkpoint
from leapai.config import TaskConfig, explain
from leapai.config.checks import TRUNK_MODULES
from leapai.config.options import CacheOptions
from leapai.data.log import DrivingLog, OpenOptions
from leapai.distributed import Ranks
from leapai.training.cache_filling import fill_caches, run_of
from leapai.training.training_data import logs_of, training_logs
from leapai.types import Frame, Labels
from tests.scenes import make_frame, seeded_model, small_config

DRIVES = f"{__name__}:open_drives"
READS: Counter[tuple[str, int]] = Counter()
"""How often each frame was read, by this process."""
FAULTY = ("val0", 1)


class Drive(DrivingLog):
    """A drive of random frames that counts how often they are read."""

    version = "1"

    def __init__(self, name: str, length: int) -> None:
        self.name, self.length = name, length

    @property
    def timestamps_us(self) -> np.ndarray:
        return 1_000_000 + np.arange(self.length) * 100_000

    def __getitem__(self, index: int) -> Frame:
        READS[self.name, index] += 1
        boxes = np.array([[10.0, 1, 0.5, 4, 2, 1.5, 0.1]])
        frame = make_frame(index, sequence=self.name)
        faults = ("LiDAR: lost",) if (self.name, index) == FAULTY else ()
        return replace(frame, labels=Labels.unlabelled(boxes, np.array([0])), faults=faults)


def open_drives(location: str, options: OpenOptions) -> list[Drive]:
    name, *lengths = location.split()
    return [Drive(f"{name}{i}", int(length)) for i, length in enumerate(lengths)]


@pytest.fixture(autouse=True)
def _no_reads(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    READS.clear()


def config_with(folder: Path, **cache: float) -> TaskConfig:
    return small_config(
        cache={"folder": str(folder), **cache},
        data={"train": f"{DRIVES}:train 4 5", "val": f"{DRIVES}:val 2"},
        training={"workers": 0},
        freeze_module_schedules=dict.fromkeys(TRUNK_MODULES, 0),
        batch_sizes={"train": 2},
    )


def stored(folder: Path) -> set[str]:
    """Names of all entries, which are those of their keys."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def filled(config: TaskConfig, options: CacheOptions, rank: int = 0, count: int = 1) -> str:
    console = Console(width=300)
    with console.capture() as capture:
        fill_caches(config, options, Ranks(rank, count), console)
    return capture.get()


def test_runs_are_together_the_whole_and_equally_long():
    for length in (0, 1, 7, 12):
        runs = [run_of(range(length), number, 5) for number in range(5)]
        assert [item for run in runs for item in run] == list(range(length))
        assert max(map(len, runs)) - min(map(len, runs)) <= 1


def test_two_shards_of_frames_make_exactly_what_one_process_makes(tmp_path):
    whole, shards = (
        config_with(tmp_path / "a", frames_gb=1),
        config_with(tmp_path / "b", frames_gb=1),
    )
    assert "10 made, 0 were there, 1 with a failed sensor" in filled(whole, CacheOptions())
    READS.clear()
    first = filled(shards, CacheOptions(), 0, 2)
    assert "process 0 of 2" in first
    assert "5 made" in first
    assert "5 made, 0 were there, 1 with a failed" in filled(shards, CacheOptions(), 1, 2)
    assert set(READS.values()) == {1}, "no frame was made by both"
    assert len(READS) == 11
    assert stored(tmp_path / "a") == stored(tmp_path / "b")
    READS.clear()
    for log in (*training_logs(shards).logs, *logs_of(shards.data.val, shards)):
        for index in range(len(log)):
            assert log[index].sequence == log.name
    assert list(READS) == [FAULTY], "a training reads all else from the cache"


def test_a_process_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch):
    config, read = config_with(tmp_path, frames_gb=1), Drive.__getitem__

    def until_stopped(self: Drive, index: int) -> Frame:
        if (self.name, index) == ("train1", 2):
            raise KeyboardInterrupt
        return read(self, index)

    monkeypatch.setattr(Drive, "__getitem__", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        filled(config, CacheOptions())
    monkeypatch.setattr(Drive, "__getitem__", read)
    assert "4 made, 6 were there" in filled(config, CacheOptions())


def test_processes_that_read_frames_share_the_run(tmp_path):
    config = config_with(tmp_path, frames_gb=1)
    assert "10 made" in filled(config, CacheOptions(workers=2))
    assert not READS, "this process has read none"
    assert "0 made, 10 were there" in filled(config, CacheOptions())


def test_two_shards_of_features_make_exactly_what_one_process_makes(tmp_path):
    step1 = tmp_path / "step1.ckpt"
    save_checkpoint(step1, seeded_model(small_config()), small_config())
    options = CacheOptions(checkpoint=step1)
    whole = config_with(tmp_path / "a", features_gb=1, feature_variants=2)
    shards = config_with(tmp_path / "b", frames_gb=1, features_gb=1, feature_variants=2)
    assert "18 made" in filled(whole, options)
    READS.clear()
    made = [filled(shards, options, rank, 2).split("trunk: ")[1] for rank in (0, 1)]
    assert sum(int(text.split()[0]) for text in made) == 18
    assert set(READS.values()) == {1}, "each frame was read once, for features and for the frames"
    assert stored(tmp_path / "a" / "features") == stored(tmp_path / "b" / "features")
    READS.clear()
    assert "0 made" in filled(shards, options)


def test_what_cannot_be_filled_is_reported_with_the_remedy(tmp_path):
    with pytest.raises(
        ValueError, match=r"keeps neither frames nor features: set cache\.frames_gb"
    ):
        filled(config_with(tmp_path), CacheOptions())
    with pytest.raises(ValueError, match=r"name those of Step 1 with --ckpt"):
        filled(config_with(tmp_path, features_gb=1), CacheOptions())
    with pytest.raises(
        ValueError, match=r"11 frames need about .* GB in .* raise cache\.frames_gb"
    ):
        filled(config_with(tmp_path, frames_gb=1e-6), CacheOptions())


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ((), {}, (0, 1)),
        ((), {"RANK": "2", "WORLD_SIZE": "4"}, (2, 4)),
        ((1, 3), {"RANK": "2", "WORLD_SIZE": "4"}, (1, 3)),
        ((3, 3), {}, "ranks are 0 to 2"),
        ((1, None), {}, "belong together"),
    ],
)
def test_the_shard_is_that_of_the_options_or_of_the_environment(given, environment, expected):
    options = CacheOptions(rank=given[0], world_size=given[1]) if given else CacheOptions()
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            options.shard(environment)
    else:
        assert options.shard(environment) == expected


def test_the_command_fills_and_says_what_an_interruption_keeps(tmp_path, monkeypatch, capsys):
    path = tmp_path / "small.py"
    path.write_text(explain(config_with(tmp_path / "cache", frames_gb=1)))
    data = ["--data", f"{DRIVES}:train 3", "--val-data", f"{DRIVES}:val 1"]
    given = ["cache", str(path), *data, "--rank", "1", "--world-size", "2"]
    assert cli.main(given) == 0
    assert "frames: 2 made, 0 were there" in capsys.readouterr().out

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("leapai.training.cache_filling.fill_caches", stop)
    assert cli.main(given) == 130
    expected = f"stopped early; {tmp_path / 'cache'} keeps what was made; the same command goes on"
    assert capsys.readouterr().err.strip() == expected

"""Several processes share the drives of a run and write what one process writes."""

import io
import json
import os
import socket
from dataclasses import replace
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console
from torch import multiprocessing

from leapai.config.options import ValidationOptions
from leapai.data.log import DrivingLog
from leapai.distributed import broadcast, gather, joined_ranks, shard
from leapai.evaluation.evaluate import evaluate
from leapai.evaluation.evaluate_stream import evaluate_stream
from leapai.evaluation.run_metrics import RunMetrics
from leapai.runs import run_inputs
from leapai.runs.run_folder import read_run
from leapai.validation import run_validation
from tests.evaluation.made_up import gt
from tests.scenes import ROAD_MAP, joint_config, make_frame, seeded_model

WORLD = 2


class UnevenLog(DrivingLog):
    """A made-up drive of `length` labelled frames; in one of them the LiDAR fails."""

    def __init__(self, number, length):
        self.name, self.number, self.length = f"drive{number}", number, length

    @property
    def timestamps_us(self):
        return np.array([make_frame(index).timestamp_us for index in range(self.length)])

    def __getitem__(self, index):
        frame = make_frame(index, sequence=self.name, seed=self.number)
        xy = np.random.default_rng([self.number, index]).uniform(-30, 30, (40, 2))
        ids = np.arange(40)
        labels = gt(xy, ids % 8, occlusion_level=ids % 4, track_id=ids)
        faults = (f"lidar: sweeps/{self.name}.bin: is truncated",) if index == 1 else ()
        return replace(frame, labels=labels, points=None if faults else frame.points, faults=faults)

    def vector_map(self):
        return None if self.number == 1 else ROAD_MAP


LOGS = [UnevenLog(number, length) for number, length in enumerate((3, 1, 2))]


def work(output):
    """The run of one process; its files, and what it returned."""
    config = joint_config(eval_instance=True)
    said = Console(record=True, width=200, file=io.StringIO())
    options = ValidationOptions(output=output, random_weights=True, data="made up")
    opened = mock.patch.object(run_inputs, "open_logs", return_value=LOGS)
    with opened, joined_ranks():
        summary = run_validation(config, options, said)
        metrics = evaluate_stream(seeded_model(config), config, LOGS).detection
    return summary.frames, metrics, said.export_text()


def join(rank, port, output):
    """One of `WORLD` processes."""
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(WORLD),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    frames, metrics, said = work(output)
    reported = {"frames": frames, "figures": metrics.model_dump_json(), "said": said}
    (output / f"told{rank}.json").write_text(json.dumps(reported))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    one, several = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("several")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # in the children it must be 1, as they are forked: so sums are equal
    _, metrics, _ = work(one)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Forked, as to import everything anew takes longer than the run.
    multiprocessing.start_processes(join, (port, several), nprocs=WORLD, start_method="fork")
    torch.set_num_threads(threads)
    return one, several, metrics


def test_the_same_detections_in_the_same_order_with_the_same_ids(outputs):
    one, several, _ = outputs
    rows = pq.read_table(one / "detections.parquet").to_pydict()
    assert rows == pq.read_table(several / "detections.parquet").to_pydict()
    assert list(dict.fromkeys(rows["sequence"])) == ["drive0", "drive1", "drive2"]
    assert max(rows["track_id"]) >= 2_000_000  # those of the third drive


def test_the_same_metrics_and_counts(outputs):
    one, several, _ = outputs
    assert (one / "metrics.json").read_text() == (several / "metrics.json").read_text()
    for name in ("truth.parquet", "frames.parquet", "instances.parquet"):
        assert (one / name).read_bytes() == (several / name).read_bytes(), name
    metrics = RunMetrics.model_validate_json((one / "metrics.json").read_text())
    assert metrics.detection.frames == metrics.tracking.frames == 6
    assert metrics.tracking.objects > 0
    assert metrics.consistency.expected > 0
    assert (metrics.road.frames, metrics.road.labelled_frames) == (6, 5)
    assert metrics.road.hidden_cells > 0
    assert metrics.road.lines["0.5 m"]["all"].true_m > 100
    alone, together = (json.loads((path / "run.json").read_text()) for path in (one, several))
    assert (alone.pop("processes"), together.pop("processes")) == (1, WORLD)
    del alone["finished_utc"], together["finished_utc"]
    stages = alone.pop("stages"), together.pop("stages")
    assert alone == together
    assert alone["faults"]["lidar"] == {"first": "sweeps/drive0.bin: is truncated", "frames": 2}
    assert {name: cost["calls"] for name, cost in stages[0].items()} == {
        name: cost["calls"] for name, cost in stages[1].items()
    }


def test_the_same_pictures_of_the_same_worst_frames(outputs):
    one, several, _ = outputs
    pictures = [sorted((path / "worst").iterdir()) for path in (one, several)]
    assert len(pictures[0]) == 3  # each drive lasts less than a second
    assert [p.read_bytes() for p in pictures[0]] == [p.read_bytes() for p in pictures[1]]


def test_the_order_of_drives_changes_no_figure(outputs):
    run, _ = read_run(outputs[0])
    backwards = [
        replace(
            drive,
            detections=drive.detections[::-1],
            labels=drive.labels[::-1],
        )
        for drive in run.sequences[::-1]
    ]
    assert evaluate(backwards, run.config, run.metrics.road) == run.metrics


def test_every_process_learns_the_metrics_of_the_whole_and_the_first_speaks(outputs):
    _, several, metrics = outputs
    reported = [json.loads((several / f"told{rank}.json").read_text()) for rank in range(WORLD)]
    assert [each["frames"] for each in reported] == [6, 6]
    assert reported[0]["figures"] == reported[1]["figures"] == metrics.model_dump_json()
    assert metrics.truths == 6 * 40
    assert "mAP" in reported[0]["said"]
    assert reported[1]["said"] == ""


def test_one_process_is_the_first_of_one():
    with joined_ranks() as ranks:
        assert (ranks.rank, ranks.count) == (0, 1)
    assert list(shard("ab")) == [(0, "a"), (1, "b")]
    assert gather(3) == [3]
    assert broadcast(3) == 3

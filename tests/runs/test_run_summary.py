"""The summary of a run counts what its sequences gave, once, at the end."""

import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from leapai.runs.profiler import WHOLE_STEP, StageCost, merged_costs
from leapai.runs.run_summary import RunOrigin, SensorFailures, summarise
from tests.made_up_runs import FRAMES, made_up_drive

ORIGIN = RunOrigin("job", "data", "a.ckpt", "cpu", "1", "c" * 64, "d" * 64, 7, None)


def summary_of(*sequences, stages=None):
    return summarise(ORIGIN, sequences, stages or {}, processes=2)


def test_frames_detections_and_tracks_are_counted_over_all_sequences():
    sequences = [made_up_drive(0), made_up_drive(1, labelled=False, frames=5)]
    summary = summary_of(*sequences)
    assert (summary.frames, summary.labelled_frames) == (FRAMES + 5, FRAMES)
    assert summary.frames_by_sequence == {"drive0": FRAMES, "drive1": 5}
    detections = [found for sequence in sequences for found in sequence.detections]
    assert summary.detections == sum(map(len, detections))
    assert summary.tracks == len({int(i) for found in detections for i in found.track_id})
    assert (summary.job_name, summary.seed, summary.processes) == ("job", 7, 2)


def test_detections_without_a_track_are_no_track():
    sequence = made_up_drive(0)
    for found in sequence.detections:
        found.track_id[:] = -1
    assert summary_of(sequence).tracks == 0


def test_each_sensor_has_its_frames_and_its_first_fault():
    sequence = made_up_drive(0, frames=4)
    both = ("lidar: b.bin: is truncated", "back: c.jpg: is missing")
    sequence.faults[:] = [(), both, ("lidar: d.bin: is empty",), ()]
    faults = summary_of(sequence).faults
    assert faults == {
        "lidar": SensorFailures("b.bin: is truncated", 2),
        "back": SensorFailures("c.jpg: is missing", 1),
    }
    assert list(faults) == ["lidar", "back"]


def test_it_is_a_value_whose_file_has_its_fields_in_order():
    summary = summary_of(made_up_drive(0))
    with pytest.raises(FrozenInstanceError):
        summary.frames = 1
    assert list(json.loads(json.dumps(asdict(summary)))) == [
        "job_name", "data", "weights", "device", "data_version", "config_sha256",
        "checkpoint_sha256", "seed", "max_frames", "exported_sha256", "exported_weights",
        "finished_utc", "version", "versions", "processes", "frames", "labelled_frames",
        "detections", "tracks", "frames_by_sequence", "faults", "stages",
    ]  # fmt: skip


def test_costs_of_processes_add_up_but_for_memory():
    costs = merged_costs(
        [
            {"fuser": StageCost(2, 1.0, 30, 3), WHOLE_STEP: StageCost(2, 4.0, 50, 5)},
            {"fuser": StageCost(3, 0.5, 20, 4)},
        ]
    )
    assert costs == {"fuser": StageCost(5, 1.5, 30, 4), WHOLE_STEP: StageCost(2, 4.0, 50, 5)}
    summary = summary_of(made_up_drive(0, frames=8), stages=costs)
    assert summary.seconds_per_frame == 0.5
    assert summary_of(stages=costs).seconds_per_frame is None

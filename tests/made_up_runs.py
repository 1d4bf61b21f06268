"""Finished runs of made-up drives, for tests of their files and their reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from leapai.evaluation.evaluate import evaluate, evaluate_instances
from leapai.evaluation.map.map_results import MapMetrics
from leapai.evaluation.sequence_result import MemoryHealth, SequenceResult
from leapai.runs.profiler import WHOLE_STEP, StageCost
from leapai.runs.run_folder import Run, begun_run, write_run
from leapai.runs.run_summary import RunOrigin, summarise
from leapai.runs.worst_frames import WorstFrame, encoded
from tests.evaluation.made_up import detections_at, gt
from tests.scenes import joint_config, small_config

FRAMES = 12
OBJECTS = 16


def made_up_drive(number: int, seed: int = 0, labelled: bool = True, frames: int = FRAMES):
    """Results of a drive of cars along x, most of them found, a little off; one changes its id."""
    rng = np.random.default_rng([seed, number])
    start = np.column_stack([np.linspace(-30, 50, OBJECTS), rng.uniform(-20, 20, OBJECTS)])
    drive = SequenceResult(number)
    for step in range(frames):
        ids = np.arange(OBJECTS)
        xy = start + np.array([0.4 * step, 0.0])
        found = rng.random(OBJECTS) < 0.85
        velocity = np.tile([4.0, 0.0, 0.0], (OBJECTS, 1))
        track_id = 1_000_000 * number + np.where((ids == 5) & (step > 6), 99, ids)
        drive.detections.append(
            detections_at(
                (xy + rng.normal(0, 0.2, xy.shape))[found],
                (ids % 8)[found],
                score=rng.uniform(0.35, 1, int(found.sum())),
                sequence=f"drive{number}",
                timestamp_us=1_000_000 + 100_000 * step,
                velocity_mps=velocity[found] + rng.normal(0, 0.3, (int(found.sum()), 3)),
                occlusion_level=(ids // 4)[found],
                track_id=track_id[found],
                query_index=np.full(int(found.sum()), -1),
            )
        )
        labels = gt(xy, ids % 8, occlusion_level=ids // 4, track_id=ids, velocity_mps=velocity)
        drive.labels.append(labels if labelled else None)
        drive.faults.append(("lidar: sweep.bin: is truncated",) if step == 3 else ())
        drive.memory.append(MemoryHealth(8 * min(step, 3), 0.1 * min(step, 3) or None, step == 0))
        drive.lines.append(())
    return drive


def made_up_run(
    sequences: list[SequenceResult] | None = None,
    road: MapMetrics | None = None,
    **changes,
) -> Run:
    """`changes` are those of the summary."""
    config = small_config() if road is None else joint_config()
    sequences = [made_up_drive(0), made_up_drive(1)] if sequences is None else sequences
    origin = RunOrigin(
        job_name="small",
        data="made up",
        weights="small.ckpt",
        device="cpu",
        data_version="1",
        config_sha256="c" * 64,
        checkpoint_sha256="d" * 64,
        seed=0,
        max_frames=None,
    )
    frames = sum(len(sequence.detections) for sequence in sequences)
    stages = {WHOLE_STEP: StageCost(frames, 0.05 * frames, 10**9, 10**8)}
    summary = summarise(origin, sequences, stages, processes=1)
    summary = replace(summary, **{"finished_utc": "2026-01-02T03:04:05+00:00", **changes})
    return Run(config, summary, sequences, evaluate(sequences, config, road))


def write(folder: Path, run: Run) -> Path:
    """Writes it as `val` does, with a picture of the first frame of each labelled drive."""
    picture = encoded(np.tile(np.arange(160, dtype=np.uint8)[None, :, None], (90, 1, 3)))
    worst = [
        WorstFrame(
            1.0, sequence.detections[0].sequence, sequence.detections[0].timestamp_us, picture
        )
        for sequence in run.sequences
        if sequence.labelled()
    ]
    with begun_run(folder):
        pass
    write_run(folder, run, worst, evaluate_instances(run.sequences, run.config))
    return folder

"""The inputs of a stress run: its drives, kept in memory, and the same at a finer rate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from leapai.config.schema import TaskConfig
from leapai.config.stress_options import StressOptions
from leapai.data.corruptions.chosen_frames import FrameMemory, KeptFrames, SomeFrames
from leapai.data.corruptions.frame_rates import FINE_HZ, RateLogs, rate_of
from leapai.data.log import DrivingLog, open_logs
from leapai.runs.run_inputs import RunInputs
from leapai.runs.stress_results import StressSettings
from leapai.runs.weights_facts import EMBEDDED_WORLD
from leapai.version import __version__

QUICK_FRAMES, QUICK_SEQUENCES = 8, 2
"""Frames of each drive, and drives, of a quick run at most."""
KEPT_BYTES = 2e9
"""Frames that are kept in memory at most; others are read again for each condition."""


@dataclass(frozen=True)
class StressInputs:
    """Everything that a stress run needs before its first frame."""

    run: RunInputs
    """Its logs are the drives, cut to the frames that are streamed and kept in memory."""
    rates: RateLogs
    settings: StressSettings


def stress_inputs(run: RunInputs, options: StressOptions) -> StressInputs:
    """Cuts the drives of opened inputs to the frames that are streamed.

    Raises ValueError where there is none.
    """
    memory = FrameMemory(KEPT_BYTES)
    most = options.max_frames or (QUICK_FRAMES if options.quick else None)
    logs = run.logs[:QUICK_SEQUENCES] if options.quick else run.logs
    cut = [_cut(log, most, memory) for log in logs if len(log)]
    if not cut:
        raise ValueError(f"data '{run.origin.data}': has no frame; name other data with --data")
    origin = replace(run.origin, max_frames=most)
    run = replace(run, logs=cut, origin=origin)
    settings = StressSettings(
        version=__version__,
        data=origin.data,
        data_version=origin.data_version,
        sequences_sha256=_digest(cut),
        checkpoint_sha256=origin.checkpoint_sha256,
        config_sha256=origin.config_sha256,
        max_frames=most,
        quick=options.quick,
        draws_seed=options.seed,
        exported_sha256=origin.exported_sha256,
    )
    rates = RateLogs(rate_of(cut), _finer(origin.data, run.config, cut, memory))
    return StressInputs(run, rates, settings)


def _cut(log: DrivingLog, most: int | None, memory: FrameMemory) -> DrivingLog:
    return KeptFrames(SomeFrames(log, range(min(len(log), most or len(log)))), memory)


def _digest(logs: Sequence[DrivingLog]) -> str:
    digest = hashlib.sha256()
    for log in logs:
        digest.update(log.name.encode("utf-8", "surrogatepass"))
        digest.update(log.timestamps_us.astype("<i8").tobytes())
    return digest.hexdigest()


def _finer(
    data: str, config: TaskConfig, logs: Sequence[DrivingLog], memory: FrameMemory
) -> Callable[[], Sequence[DrivingLog]] | None:
    """Returns what opens the drives at `FINE_HZ`, over the same time; None where only the source's
    own frames exist."""
    if data.partition(":")[0] != EMBEDDED_WORLD:
        return None

    @cache
    def opened() -> list[DrivingLog]:
        duration_us = max(int(log.timestamps_us[-1] - log.timestamps_us[0]) for log in logs)
        finer = open_logs(
            world_at(data, FINE_HZ, round(duration_us * FINE_HZ / 1e6) + 1),
            image_size_px=config.camera.image_size_px,
            label_range_m=config.bev.label_range_m,
            vocabulary=config.vocabulary,
        )
        return [KeptFrames(log, memory) for log in finer[: len(logs)]]

    return opened


def world_at(data: str, rate_hz: float, frames: int) -> str:
    """Returns the data of the embedded world at another rate, with so many frames a drive."""
    name, _, location = data.partition(":")
    given = [part for part in location.split(",") if part.strip()]
    others = [part for part in given if part.partition("=")[0].strip() not in ("rate_hz", "frames")]
    return f"{name}:{','.join([*others, f'rate_hz={rate_hz:g}', f'frames={frames}'])}"

"""Samplers of training data: streams that walk through drives, as a pure function of the step.

An epoch cuts every drive into clips of at most `clip_frames`, at a new offset, and shuffles them.
The endless list of the clips of epoch after epoch is sharded over the global streams (rank x
streams per rank + stream) round robin, and each stream walks its own clips frame by frame. What a
stream sees at a step thus depends on the seed, the stream and the step alone: two ranks with four
streams see what one rank with eight sees, and to resume is to start at another step.

Several sources of data are mixed by the clip: an epoch has as many clips as all sources together,
and each source its share of them. So are sequences with rare classes, which come more often
(`clip_mixture.py`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch.utils.data import Dataset

from leapai.config.schema import TaskConfig
from leapai.config.training import StreamingConfig
from leapai.data.augmentation import apply, draw_augmentation, scaled_map
from leapai.data.clip_mixture import ClipBalance, ClipMixture, ClipShare
from leapai.data.log import DrivingLog
from leapai.data.object_paste import Clip, ObjectPaster
from leapai.data.static_labels import with_static_labels
from leapai.data.transforms import collate, on_one_rig, prepare, read_frame
from leapai.models.tensors import FrameBatch
from leapai.types import BoolArray, Frame, IntArray

_PLAN_FRAMES = 2048
"""Frames of a plan at least: small data sets are planned many epochs at a time, so that late steps
are found quickly."""
_KEPT_PLANS = 64
"""Plans in memory. Streams with shorter clips run ahead of others, so that more than one plan is in
use: a few dozen after a thousand."""
_WALK, _AUGMENTATION = 0, 1
"""Purpose of a random generator: the second number of its seed."""


@dataclass(frozen=True)
class SampleRef:
    """Frame that one stream sees at one time."""

    sequence: int
    """Number of the log."""
    frame: int
    """Index in the log."""
    is_first: bool
    """The stream's memory starts here: a clip begins, or forgetting is practised."""
    clip: int
    """Number of the clip in the endless list; no other walk through a clip has it."""
    clip_frames: tuple[int, int]
    """First and last frame of the clip."""
    time: int
    """Number of frames that the stream has seen before."""


@dataclass(frozen=True)
class _EpochPlan:
    """Plan of whole epochs: K clips in the order of sharding, V samples clip by clip."""

    first_clip: int
    clip_start: IntArray
    """[K + 1] index of the first sample of each clip."""
    sequence: IntArray
    """[V] number of the log."""
    frame: IntArray
    """[V] index in the log."""
    is_first: BoolArray
    """[V] whether memory starts here."""

    @property
    def clips(self) -> int:
        """Number of clips K."""
        return len(self.clip_start) - 1

    def stream_ends(self, stream: int, streams: int) -> tuple[int, IntArray]:
        """Returns the stream's first clip here, and the number of its samples after which each of
        its clips ends."""
        first = (stream - self.first_clip) % streams
        return first, np.cumsum(np.diff(self.clip_start)[first::streams])


class SequenceSampler:
    """Position of each global stream at each time (number of frames that a stream has seen).

    Epochs are planned when they are first needed, which costs about a microsecond each sample.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        config: StreamingConfig,
        streams: int,
        seed: int,
        shares: Sequence[ClipShare] = (),
    ) -> None:
        """Takes the number of frames of each log, and the shares of several sources.

        Raises ValueError where all logs, or those of a source, have none.
        """
        if sum(lengths) == 0:
            raise ValueError("the training data has no frames; name other data as data.train")
        self._mixture = ClipMixture(shares, lengths) if len(shares) > 1 else None
        balanced = any(share.sequence_weights for share in shares)
        self._balance = ClipBalance(shares) if balanced else None
        self._config = config
        self._streams = streams
        self._seed = seed
        epochs = math.ceil(_PLAN_FRAMES / sum(lengths))
        runs = np.tile(np.asarray(lengths, np.int64), epochs)
        self._epoch_of_run = np.repeat(np.arange(epochs), len(lengths))
        self._run = np.repeat(np.arange(len(runs)), runs)
        self._sequence = self._run % len(lengths)
        self._frame = np.concatenate([np.arange(n) for n in runs])
        self._may_shift = runs > config.clip_frames
        self._first_clips = [0]
        self._starts: list[IntArray] = [np.zeros(streams, np.int64)]
        self._plans: dict[int, _EpochPlan] = {}

    def sample(self, stream: int, time: int) -> SampleRef:
        """Returns what global stream `stream` sees at `time` (0, 1, ...)."""
        while self._starts[-1][stream] <= time:
            self._plan_next()
        number = bisect_right(self._starts, time, key=lambda starts: int(starts[stream])) - 1
        plan = self._plan(number)
        within = time - int(self._starts[number][stream])
        first, ends = plan.stream_ends(stream, self._streams)
        turn = int(np.searchsorted(ends, within, side="right"))
        clip = first + turn * self._streams
        begin, end = int(plan.clip_start[clip]), int(plan.clip_start[clip + 1])
        at = end - int(ends[turn]) + within
        return SampleRef(
            sequence=int(plan.sequence[at]),
            frame=int(plan.frame[at]),
            is_first=bool(plan.is_first[at]),
            clip=plan.first_clip + clip,
            time=time,
            clip_frames=(int(plan.frame[begin]), int(plan.frame[end - 1])),
        )

    def _plan_next(self) -> None:
        plan = self._plan(len(self._starts) - 1)
        samples = np.zeros(self._streams, np.int64)
        stream = (plan.first_clip + np.arange(plan.clips)) % self._streams
        np.add.at(samples, stream, np.diff(plan.clip_start))
        self._starts.append(self._starts[-1] + samples)
        self._first_clips.append(plan.first_clip + plan.clips)

    def _plan(self, number: int) -> _EpochPlan:
        plan = self._plans.pop(number, None) or self._planned(number)
        self._plans[number] = plan  # now the last in the order of use
        if len(self._plans) > _KEPT_PLANS:
            del self._plans[next(iter(self._plans))]
        return plan

    def _planned(self, number: int) -> _EpochPlan:
        config = self._config
        rng = np.random.default_rng([self._seed, _WALK, number])
        offset = rng.integers(config.clip_frames, size=len(self._may_shift)) * self._may_shift
        starts = (self._frame == 0) | ((self._frame - offset[self._run]) % config.clip_frames == 0)
        begin = np.flatnonzero(starts)
        seen = self._seen(begin, rng)
        is_first = starts | (rng.random(len(starts)) < config.reset_probability)
        epoch = self._epoch_of_run[self._run[begin]]
        order: IntArray = np.lexsort((rng.random(len(begin)), epoch))
        if self._balance:
            order = self._balance.order(order, self._sequence[begin[order]], rng)
        if self._mixture:
            order = self._mixture.order(order, self._sequence[begin[order]], rng)
        length = np.add.reduceat(seen.astype(np.int64), begin)
        first = np.cumsum(length) - length  # of each clip among all samples
        clip_start = np.concatenate([[0], np.cumsum(length[order])])
        within = np.arange(clip_start[-1]) - np.repeat(clip_start[:-1], length[order])
        samples = np.flatnonzero(seen)[np.repeat(first[order], length[order]) + within]
        return _EpochPlan(
            first_clip=self._first_clips[number],
            clip_start=clip_start,
            sequence=self._sequence[samples],
            frame=self._frame[samples],
            is_first=is_first[samples],
        )

    def _seen(self, begin: IntArray, rng: np.random.Generator) -> BoolArray:
        """Returns which frames are seen when every clip is walked from its begin, with gaps."""
        config, frames = self._config, len(self._frame)
        gaps = rng.integers(1, config.max_gap_frames + 1, frames)
        step = 1 + gaps * (rng.random(frames) < config.gap_probability)
        seen = np.zeros(frames, bool)
        at, end = begin, np.append(begin[1:], frames)
        while len(at):
            seen[at] = True
            at = at + step[at]
            inside = at < end
            at, end = at[inside], end[inside]
        return seen


class StreamingDataset(Dataset[list[FrameBatch]]):
    """`window(step)`: the frames of one step of training, for the streams of one rank.

    A window is `frames_without_gradient + frames_with_gradient` batches, one after another in
    time. The `frames` of a batch hold labels, names, poses and faults but neither images nor
    points: those are in the tensors, and processes need not send them twice. (A camera without
    image in them thus does not mean that it failed; `camera_valid` does.)

    For the static task they hold rasters of the drive's map as well, made of the augmented pose.
    """

    def __init__(
        self,
        logs: Sequence[DrivingLog],
        config: TaskConfig,
        shares: Sequence[ClipShare] = (),
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Opens the streams of one rank. `shares` are those of several sources, whose logs follow
        each other in `logs`. Raises ValueError where the logs have no frames."""
        self.logs = list(logs)
        self.config = config
        self._rank = rank
        streaming = config.streaming
        self._window_frames = streaming.frames_without_gradient + streaming.frames_with_gradient
        streams = config.batch_sizes.train * world_size
        lengths = [len(log) for log in self.logs]
        seed = config.training.seed
        self._walks = SequenceSampler(lengths, config.streaming, streams, seed, shares)
        self._region = config.static.region()
        paste = config.augmentation.paste
        self._paster = ObjectPaster(self.logs, paste, seed) if paste.objects else None
        self._paste_until = paste.until * config.max_steps * config.accumulate_grad_batches
        self._paste_until *= self._window_frames

    def __getitem__(self, step: int) -> list[FrameBatch]:
        return self.window(step)

    def window(self, step: int) -> list[FrameBatch]:
        """Returns the batches of a step. Raises ValueError, with the log and the frame, for one
        that cannot be read or that does not fit the others."""
        return [self.batch_of(samples) for samples in self.samples(step)]

    def samples(self, step: int) -> list[list[SampleRef]]:
        """Returns what the streams of the rank see in a step: [frames of the window][streams]."""
        streams, frames = self.config.batch_sizes.train, self._window_frames
        first = self._rank * streams
        return [
            [self._walks.sample(stream, time) for stream in range(first, first + streams)]
            for time in range(step * frames, (step + 1) * frames)
        ]

    def batch_of(self, samples: Sequence[SampleRef]) -> FrameBatch:
        """Returns the batch of one frame of each stream."""
        frames = on_one_rig([self._frame(s) for s in samples])
        batch = collate(frames, [s.is_first for s in samples])
        return replace(batch, frames=tuple(without_sensors(frame) for frame in batch.frames))

    def _frame(self, sample: SampleRef) -> Frame:
        camera = self.config.camera
        frame = read_frame(self.logs[sample.sequence], sample.frame)
        frame = prepare(frame, camera.image_size_px, camera.groups)
        is_shown = True  # by the images, too
        if self._paster and sample.time < self._paste_until:
            clip = Clip(sample.clip, sample.sequence, sample.clip_frames)
            pasted = self._paster.paste(frame, clip)
            is_shown, frame = pasted is frame, pasted
        rng = np.random.default_rng([self.config.training.seed, _AUGMENTATION, sample.clip])
        names = [c.name for c in frame.cameras]
        augmentation = draw_augmentation(self.config.augmentation, rng, names)
        frame = apply(frame, augmentation, label_pixels=camera.depth_bins > 0 and is_shown)
        return self.with_map(frame, sample.sequence, augmentation.scale)

    def with_map(self, frame: Frame, sequence: int, scale: float) -> Frame:
        """Returns the frame of a log, in a world of this scale, with its static labels, where that
        task is on and there is a map."""
        if not self.config.static_task:
            return frame
        log = self.logs[sequence]
        vector_map = scaled_map(log.vector_map(), scale)
        return with_static_labels(frame, vector_map, self._region, log.static_classes)


def without_sensors(frame: Frame) -> Frame:
    """Returns the frame with neither images nor points: small enough to send between processes."""
    cameras = tuple(replace(c, image=None, pixel_labels=None) for c in frame.cameras)
    return replace(frame, cameras=cameras, points=None)

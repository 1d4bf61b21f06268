"""Shares of clips in training: of several sources of data, and of sequences with rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leapai.types import IntArray


@dataclass(frozen=True)
class ClipShare:
    """One source of a mixture: the number of its logs, which follow each other, and its weight."""

    logs: int
    weight: float
    sequence_weights: tuple[float, ...] = ()
    """How often a clip of each log comes, relative to the other clips of the source; empty: all
    alike."""


class ClipMixture:
    """Orders clips so that each source has its share of them, whatever the size of its data."""

    def __init__(self, shares: Sequence[ClipShare], lengths: Sequence[int]) -> None:
        """Takes the number of frames of each log. Raises ValueError where a source has none."""
        weights = np.array([share.weight for share in shares], np.float64)
        self._ends = np.cumsum(weights / weights.sum())
        self.source = np.repeat(np.arange(len(shares)), [share.logs for share in shares])
        frames = np.bincount(self.source, np.asarray(lengths, np.float64), len(shares))
        if not frames.all():
            raise ValueError(
                f"source {int(np.argmin(frames)) + 1} of the training data has no frames; "
                "leave it out"
            )

    def order(self, clips: IntArray, sequence: IntArray, rng: np.random.Generator) -> IntArray:
        """Returns as many clips as are given, each source's in the given order, mixed at random.

        `sequence` has the number of the log of each clip. Of a source with more clips than its
        share come the first; of one with fewer come all, again and again. Systematic sampling: the
        share is met to within one clip, and exactly in the mean over many calls.
        """
        places = (np.arange(len(clips)) + rng.random()) / len(clips)
        turns = rng.permutation(np.searchsorted(self._ends[:-1], places, side="right"))
        of_clip = self.source[sequence]
        ordered = np.empty_like(clips)
        for source in range(len(self._ends)):
            own = turns == source
            ordered[own] = np.resize(clips[of_clip == source], int(own.sum()))
        return ordered


class ClipBalance:
    """Repeats clips of some logs and leaves out others, by the weights of `ClipShare`."""

    def __init__(self, shares: Sequence[ClipShare]) -> None:
        self._source = np.repeat(np.arange(len(shares)), [share.logs for share in shares])
        weights = (share.sequence_weights or (1.0,) * share.logs for share in shares)
        self._weights = np.concatenate([np.asarray(each, np.float64) for each in weights])

    def order(self, clips: IntArray, sequence: IntArray, rng: np.random.Generator) -> IntArray:
        """Returns as many clips of each source as are given, in random order, each as often as the
        weight of its log, `sequence`, asks for on average.

        Systematic sampling: a clip of weight 2.3 comes two or three times.
        """
        drawn = np.empty_like(clips)
        of_clip = self._source[sequence]
        for source in np.unique(of_clip):
            own = of_clip == source
            ends = np.cumsum(self._weights[sequence[own]])
            places = (np.arange(len(ends)) + rng.random()) / len(ends) * ends[-1]
            drawn[own] = rng.permutation(clips[own][np.searchsorted(ends, places, side="right")])
        return drawn

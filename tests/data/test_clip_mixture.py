"""Several sources of training data: shares of the clips, whatever the sizes of the sources."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from leapai.config.training import StreamingConfig
from leapai.data.clip_mixture import ClipMixture, ClipShare
from leapai.data.samplers import SampleRef, SequenceSampler

LENGTHS = (30, 20, 4, 10)
SHARES = (ClipShare(2, 1.0), ClipShare(2, 3.0))
"""The first two logs have most of the frames, the last two three quarters of the clips."""
STREAMING = StreamingConfig(clip_frames=5)


def sampler(streams: int = 3, shares=SHARES, seed: int = 0) -> SequenceSampler:
    return SequenceSampler(LENGTHS, STREAMING, streams, seed, shares)


def clips_of(walks: SequenceSampler, streams: int, times: int) -> dict[int, list[SampleRef]]:
    """Samples of each clip, by its number."""
    clips: dict[int, list[SampleRef]] = {}
    for time in range(times):
        for stream in range(streams):
            sample = walks.sample(stream, time)
            clips.setdefault(sample.clip, []).append(sample)
    return clips


def test_each_source_has_its_share_of_the_clips():
    clips = clips_of(sampler(), 3, 4000)
    sources = Counter(samples[0].sequence < 2 for samples in clips.values())
    assert sources[False] / len(clips) == pytest.approx(0.75, abs=0.01)


def test_within_a_source_all_frames_are_seen_alike():
    seen = Counter(
        (sample.sequence, sample.frame)
        for samples in clips_of(sampler(), 3, 4000).values()
        for sample in samples
    )
    assert len(seen) == sum(LENGTHS)
    for logs in ((0, 1), (2, 3)):
        counts = [count for (sequence, _), count in seen.items() if sequence in logs]
        assert max(counts) < 1.5 * min(counts)


def test_clips_are_walked_as_without_a_mixture():
    ended = [samples for samples in clips_of(sampler(), 3, 300).values() if samples[0].is_first]
    for samples in ended:
        first = samples[0].frame
        assert [s.frame for s in samples] == list(range(first, first + len(samples)))
        assert len({s.sequence for s in samples}) == 1
        assert len(samples) <= STREAMING.clip_frames


def test_to_resume_is_to_start_at_another_step_and_ranks_share_one_list():
    straight = sampler(4)
    for time in range(500):
        for stream in range(4):
            straight.sample(stream, time)
    assert [sampler(4).sample(s, 499) for s in range(4)] == [
        straight.sample(s, 499) for s in range(4)
    ]
    assert sampler(4, seed=1).sample(0, 499) != straight.sample(0, 499)


def test_one_source_is_the_same_as_none():
    for time in range(100):
        alone = sampler(shares=(ClipShare(4, 2.5),)).sample(1, time)
        assert alone == sampler(shares=()).sample(1, time)


def test_a_source_without_frames_is_named():
    with pytest.raises(ValueError, match="source 2 of the training data has no frames"):
        SequenceSampler((3, 0), STREAMING, 1, 0, (ClipShare(1, 1.0), ClipShare(1, 1.0)))


@pytest.mark.parametrize("weights", [(1.0, 1.0, 2.0), (0.1, 5.0, 0.2)])
def test_an_order_agrees_with_one_that_is_dealt_out_slowly(weights):
    sequence = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
    mixture = ClipMixture([ClipShare(1, w) for w in weights], [1, 1, 1])
    clips = np.random.default_rng(3).permutation(len(sequence))
    mixed = mixture.order(clips, sequence[clips], np.random.default_rng(5))
    assert len(mixed) == len(clips)
    for source, weight in enumerate(weights):
        own = [clip for clip in clips if sequence[clip] == source]
        drawn = [clip for clip in mixed if sequence[clip] == source]
        assert abs(len(drawn) - len(clips) * weight / sum(weights)) < 1
        assert drawn == [own[number % len(own)] for number in range(len(drawn))]

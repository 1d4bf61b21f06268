"""The summary of a stress run from the results of its conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from leapai.data.corruptions.multicorrupt import CORRUPTIONS, SEVERITIES
from leapai.evaluation.robustness import mean_relative_score, relative_scores
from leapai.runs.run_inputs import RunInputs
from leapai.runs.run_summary import installed_versions
from leapai.runs.stress_results import ConditionResult, StressSettings, StressSummary
from leapai.version import __version__


def summarise_stress(
    inputs: RunInputs,
    settings: StressSettings,
    results: Sequence[ConditionResult],
    skipped: Mapping[str, str],
) -> StressSummary:
    """Returns the summary of a stress run; the first result is that of the clean run."""
    scores = relative_scores(
        [
            (each.corruption, each.severity, each.scores.relative)
            for each in results
            if each.corruption is not None and each.severity is not None
        ]
    )
    complete = all(tuple(each.relative) == SEVERITIES for each in scores.values())
    return StressSummary(
        **vars(inputs.origin),
        finished_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        versions=installed_versions(),
        quick=settings.quick,
        draws_seed=settings.draws_seed,
        frames=results[0].scores.frames,
        sequences=len(inputs.logs),
        score="mAP",
        clean=results[0].scores,
        mean_relative_score=mean_relative_score(scores, CORRUPTIONS) if complete else None,
        corruptions=scores,
        conditions=len(results),
        skipped=dict(skipped),
    )

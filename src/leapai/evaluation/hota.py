"""HOTA (Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV
2020), computed by motrics, a port of its authors' TrackEval; it comes with the extra `hota`.

Boxes are as similar as 1 - distance / 2 m, 0 beyond: TrackEval's similarity of centres.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from leapai.config import BevConfig
from leapai.evaluation.tables import LabelledFrame
from leapai.evaluation.tracked import Tracked, follow
from leapai.evaluation.tracking import DISTANCE_M
from leapai.evaluation.tracking_figures import HotaFigures, TrackingFigures
from leapai.types import CLASS_NAMES, BoolArray, FloatArray, IntArray


def hota_figures(
    frames: Sequence[LabelledFrame], bev: BevConfig, tracking: TrackingFigures
) -> dict[str, HotaFigures]:
    """By class that has objects, and as "all" their mean; empty where no class has any.

    Of the tracks of a class whose mean confidence is at least `confidence` of `tracking`, the
    figures of the same frames. Raises ImportError, naming the extra, where motrics is missing.
    """
    if find_spec("motrics") is None:
        raise ImportError("HOTA needs motrics: pip install 'leapai[hota]'")
    tracked = follow(frames, bev, DISTANCE_M)
    used = ~tracked.near_ignored
    used[tracked.pairs.detection] = True
    used &= tracked.said.track_id >= 0
    classes = {}
    for class_id, name in enumerate(CLASS_NAMES):
        if tracking.classes[name].truths:
            least = tracking.classes[name].confidence
            sure = tracked.track_score >= (np.inf if least is None else least)
            classes[name] = _of_class(tracked, used & sure, class_id)
    return classes | _over_classes(classes)


class _Sequence(NamedTuple):
    """Of each frame ids of objects and tracks, and how similar each two are."""

    object_ids: list[list[int]]
    track_ids: list[list[int]]
    similarity: list[list[list[float]]]


def _of_class(tracked: Tracked, used: BoolArray, class_id: int) -> HotaFigures:
    """`used` [N] are the detections that count."""
    from motrics import compute_hota_from_similarity
    from motrics.compat.trackeval.metrics import HOTA

    of_sequence = {}
    for number, sequence in _sequences(tracked, used, class_id):
        found = compute_hota_from_similarity(*sequence)
        of_sequence[number] = {
            "HOTA_TP": np.array(found.hota_tp_alphas),
            "HOTA_FN": np.array(found.hota_fn_alphas),
            "HOTA_FP": np.array(found.hota_fp_alphas),
            "AssA": np.array(found.assa_alphas),
            "AssRe": np.array(found.ass_re_alphas),
            "AssPr": np.array(found.ass_pr_alphas),
            "LocA": np.array(found.loca_alphas),
        }
    whole = HOTA().combine_sequences(of_sequence)
    names = {"hota": "HOTA", "deta": "DetA", "assa": "AssA", "loca": "LocA"}
    return HotaFigures(**{ours: float(whole[theirs].mean()) for ours, theirs in names.items()})


def _sequences(tracked: Tracked, used: BoolArray, class_id: int) -> Iterator[tuple[str, _Sequence]]:
    """Of those that have an object or a detection of the class."""
    truths = np.flatnonzero(tracked.judged & (tracked.truth.class_id == class_id))
    said = np.flatnonzero(used & (tracked.said.class_id == class_id))
    said = said[np.argsort(tracked.said.frame[said], kind="stable")]
    sequence = tracked.frames.sequence
    for number in np.unique(sequence):
        frames = np.flatnonzero(sequence == number)
        truth_rows = _by_frame(truths, tracked.truth.frame, frames)
        said_rows = _by_frame(said, tracked.said.frame, frames)
        if any(map(len, truth_rows)) or any(map(len, said_rows)):
            yield (
                str(number),
                _Sequence(
                    [tracked.object_id[rows].tolist() for rows in truth_rows],
                    [tracked.track_id[rows].tolist() for rows in said_rows],
                    [
                        _similarity(tracked.truth.boxes[i], tracked.said.boxes[j]).tolist()
                        for i, j in zip(truth_rows, said_rows, strict=True)
                    ],
                ),
            )


def _by_frame(rows: IntArray, frame: IntArray, frames: IntArray) -> list[IntArray]:
    """Rows [M], by frame, of each of consecutive `frames`."""
    bounds = np.searchsorted(frame[rows], np.append(frames, frames[-1] + 1))
    return np.split(rows, bounds)[1:-1]


def _similarity(truth: FloatArray, said: FloatArray) -> FloatArray:
    offset = truth[:, None, :2] - said[None, :, :2]
    return np.maximum(0, 1 - np.hypot(offset[..., 0], offset[..., 1]) / DISTANCE_M)


def _over_classes(classes: dict[str, HotaFigures]) -> dict[str, HotaFigures]:
    if not classes:
        return {}
    columns = {
        name: float(np.mean([getattr(each, name) for each in classes.values()]))
        for name in HotaFigures.model_fields
    }
    return {"all": HotaFigures(**columns)}

"""Predicted lines against ground-truth lines: completeness and correctness by the buffer method
(Heipke, Mayer, Wiedemann and Jamet, "Evaluation of Automatic Road Extraction", ISPRS 1997).

Lines are cut into pieces of `PIECE_M` or less, each of which stands for its length. A predicted
piece is right where a ground-truth line of its kind passes within the distance, and a ground-truth
piece is found where a predicted line of its kind does. Precision is the share of pieces that are
right, recall of those that are found. Only pieces inside the grid count, but they match what lies
outside, too. Pieces are counted, so sums do not depend on the order of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from leapai.evaluation.map.map_results import LINE_KINDS, MATCH_M, LineMetrics
from leapai.geometry.polylines import lines_in_ego
from leapai.types import (
    STATIC_CLASSES,
    BevGrid,
    BoolArray,
    FloatArray,
    IntArray,
    MapPolyline,
    VectorMap,
)

PIECE_M = 0.1


def gt_lines(vector_map: VectorMap, ego2global: FloatArray) -> tuple[MapPolyline, ...]:
    """Returns the lines of a map (global frame) of `LINE_KINDS` on the ground of the ego frame."""
    lines = lines_in_ego(vector_map, ego2global, LINE_KINDS)
    return tuple(replace(line, points_m=line.points_m[:, :2]) for line in lines)


def _zeros() -> IntArray:
    return np.zeros((len(LINE_KINDS), len(MATCH_M), 2, 2), np.int64)


@dataclass
class LineCounts:
    """Counts of pieces over frames."""

    pieces: IntArray = field(default_factory=_zeros)
    """[kind, distance, predicted or ground truth, all or matched] int64."""

    def add(
        self,
        predicted: Sequence[MapPolyline],
        gt: Sequence[MapPolyline],
        known: BoolArray,
        grid: BevGrid,
    ) -> None:
        """Counts one frame; kinds that the map does not have (`known` [14], by `STATIC_CLASSES`)
        are left out."""
        for index, kind in enumerate(LINE_KINDS):
            if known[STATIC_CLASSES.index(kind)]:
                ours, theirs = (
                    pieces([line.points_m for line in lines if line.kind == kind])
                    for lines in (predicted, gt)
                )
                self.pieces[index, :, 0] += _counts(ours, theirs, grid)
                self.pieces[index, :, 1] += _counts(theirs, ours, grid)

    def merge(self, other: LineCounts) -> None:
        """Adds the counts of another rank."""
        self.pieces += other.pieces

    def metrics(self) -> dict[str, dict[str, LineMetrics]]:
        """Returns metrics by distance, then by kind that was predicted or is in the ground truth,
        and "all"."""
        by_kind = dict(zip(LINE_KINDS, self.pieces, strict=True))
        shown = {kind: counts for kind, counts in by_kind.items() if counts.any()}
        shown["all"] = self.pieces.sum(0)
        return {
            f"{within_m:g} m": {kind: _metrics(counts[i]) for kind, counts in shown.items()}
            for i, within_m in enumerate(MATCH_M)
        }


def pieces(lines_m: Sequence[FloatArray]) -> FloatArray:
    """Returns the middles [P, 2] of the pieces of lines [K, 2]."""
    return np.concatenate([np.zeros((0, 2)), *(_middles(line) for line in lines_m)])


def _middles(line_m: FloatArray) -> FloatArray:
    reached = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line_m, axis=0).T))])
    count = int(np.ceil(reached[-1] / PIECE_M))
    at = (np.arange(count) + 0.5) * reached[-1] / max(count, 1)
    return np.stack([np.interp(at, reached, line_m[:, axis]) for axis in (0, 1)], 1)


def _counts(points: FloatArray, others: FloatArray, grid: BevGrid) -> IntArray:
    """Counts [distance, 2] the points [P, 2] inside the grid, and those of them with one of the
    others near."""
    (x, y), (x_low, x_high), (y_low, y_high) = points.T, grid.x_range_m, grid.y_range_m
    inside = points[(x >= x_low) & (x < x_high) & (y >= y_low) & (y < y_high)]
    if not len(inside) or not len(others):
        return np.array([[len(inside), 0]] * len(MATCH_M), np.int64)
    tree = cKDTree(others, balanced_tree=False, compact_nodes=False)  # built faster, same answers
    distance, _ = tree.query(inside, distance_upper_bound=max(MATCH_M) * 1.01)
    return np.array([[len(inside), np.count_nonzero(distance <= m)] for m in MATCH_M], np.int64)


def _metrics(counts: IntArray) -> LineMetrics:
    """Returns the metrics of counts [predicted or ground truth, all or matched]."""
    (predicted, right), (gt, found) = counts.tolist()
    precision = right / predicted if predicted else None
    recall = found / gt if gt else None
    f1 = None
    if precision is not None and recall is not None:
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return LineMetrics(
        said_m=predicted * PIECE_M, true_m=gt * PIECE_M, precision=precision, recall=recall, f1=f1
    )

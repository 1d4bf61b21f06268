"""Tracking figures of a class, slow and obvious: one threshold, frame and object at a time, in the
words of the nuScenes tracking evaluation."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from statistics import median

import numpy as np
from scipy.optimize import linear_sum_assignment

from leapai.evaluation.detection.labelled_frames import tabulate
from tests.evaluation.made_up import BEV

REACH_M = 2.0
HIT, MISS, IGNORED = "hit", "miss", "ignored"


def slow_metrics(frames, class_id):
    """As a dict; NaN where there is nothing to measure."""
    drives = defaultdict(list)
    for frame in sorted(frames, key=lambda f: f.detections.timestamp_us):
        drives[frame.detections.sequence].append(frame)
    scores = track_scores(drives)
    everything = run(drives, class_id, scores, -1.0)
    if not everything["truths"]:
        return {"truths": 0}
    thresholds = thresholds_of(everything)
    runs = [run(drives, class_id, scores, t) for t in thresholds if not np.isnan(t)]
    missed = len(thresholds) - len(runs)
    motar = [np.nan_to_num(measures(each)["motar"], nan=0.0) for each in runs]
    motp = [np.nan_to_num(measures(each)["motp_m"], nan=2.0) for each in runs]
    best = max(runs, key=lambda each: measures(each)["mota"])  # the first of equals
    return {
        **measures(best),
        "amota": sum(motar) / 40,
        "amotp_m": (sum(motp) + 2.0 * missed) / 40,
    }


def track_scores(drives):
    scores = defaultdict(list)
    for name, frames in drives.items():
        for frame in frames:
            for track, score in zip(frame.detections.track_id, frame.detections.score, strict=True):
                scores[name, track].append(score)
    return {key: np.mean(values) for key, values in scores.items()}


def thresholds_of(everything):
    scores = sorted(everything["kept_scores"], reverse=True)
    recalls = np.linspace(0.1, 1, 40).round(12)[::-1]
    reached = np.arange(1, len(scores) + 1) / everything["truths"]
    if not scores:
        return [np.nan] * 40
    return [np.nan if r > reached[-1] else np.interp(r, reached, scores) for r in recalls]


def run(drives, class_id, scores, threshold):
    """Counts at one threshold."""
    total = defaultdict(float) | {"kept_scores": [], "objects": []}
    for name, frames in sorted(drives.items()):
        times = [f.detections.timestamp_us for f in frames]
        period_s = median(np.diff(times)) / 1e6 if len(times) > 1 else 0.0
        timelines = run_drive(frames, name, class_id, (scores, threshold), total)
        total["objects"] += [(timeline, period_s) for timeline in timelines.values()]
    return total


def run_drive(frames, name, class_id, confidence, total):
    """What happens to each object: (number of the frame, hit, miss or ignored)."""
    scores, threshold = confidence
    timelines, last_track, number = defaultdict(list), {}, 0
    for frame in frames:
        gt, _ = tabulate([frame], BEV)
        detections = frame.detections
        objects = [i for i, c in enumerate(gt.class_id) if c == class_id]
        followed = [i for i in objects if gt.track_id[i] >= 0]
        evaluated = [i for i in followed if gt.counted[i]]
        rows = [
            j
            for j in range(len(detections))
            if detections.class_id[j] == class_id
            and detections.track_id[j] >= 0
            and scores[name, detections.track_id[j]] >= threshold
        ]
        if not followed and not rows:
            continue
        found = match_frame(gt, detections, evaluated, rows, last_track)
        for i in followed:
            state = IGNORED if i not in evaluated else HIT if i in found else MISS
            timelines[gt.track_id[i]].append((number, state))
        number += 1
        total["frames"] += 1
        total["truths"] += len(evaluated)
        for j in set(rows) - {j for j, _ in found.values()}:
            near = [distance(gt, detections, i, j) < REACH_M for i in set(objects) - set(evaluated)]
            total["fp"] += not any(near)
        for i, (j, switched) in found.items():
            total["distance_m"] += distance(gt, detections, i, j)
            total["ids" if switched else "tp"] += 1
            if not switched:
                total["kept_scores"].append(scores[name, detections.track_id[j]])
    return timelines


def match_frame(gt, detections, evaluated, rows, last_track):
    """{object: (detection, whether its track is another one than last)}."""
    found = {}
    for i in evaluated:
        for j in rows:
            same = last_track.get(gt.track_id[i]) == detections.track_id[j]
            taken = j in [other for other, _ in found.values()]
            if same and not taken and distance(gt, detections, i, j) < REACH_M:
                found[i] = (j, False)
    free = [i for i in evaluated if i not in found]
    left = [j for j in rows if j not in [other for other, _ in found.values()]]
    cost = np.array([[distance(gt, detections, i, j) for j in left] for i in free])
    cost = cost.reshape(len(free), len(left))
    cost[cost >= REACH_M] = 1e6
    for a, b in zip(*linear_sum_assignment(cost), strict=True):
        if cost[a, b] < REACH_M:
            key, track = gt.track_id[free[a]], detections.track_id[left[b]]
            found[free[a]] = (left[b], key in last_track and last_track[key] != track)
            last_track[key] = track
    return found


def distance(gt, detections, i, j):
    return np.hypot(*(gt.boxes[i, :2] - detections.boxes[j, :2]))


def measures(total):
    tp, fp, ids, truths = (total[name] for name in ("tp", "fp", "ids", "truths"))
    matches = tp + ids
    timelines = [(trimmed(timeline), period) for timeline, period in total["objects"]]
    timelines = [(timeline, period) for timeline, period in timelines if timeline]
    found = [(timeline, p) for timeline, p in timelines if HIT in [state for _, state in timeline]]
    shares = [share(timeline) for timeline, _ in timelines]
    return {
        "truths": truths,
        "objects": len(timelines),
        "tp": tp,
        "fp": fp,
        "ids": ids,
        "fn": truths - matches,
        "mota": max(0.0, 1 - (truths - matches + ids + fp) / truths),
        "motar": max(0.0, 1 - fp / tp) if tp else np.nan,
        "motp_m": total["distance_m"] / matches if matches else np.nan,
        "recall": matches / truths,
        "faf": 100 * fp / total["frames"],
        "mt": sum(s >= 0.8 for s in shares),
        "ml": sum(s < 0.2 for s in shares),
        "frag": sum(fragments(timeline) for timeline, _ in timelines),
        "tid_frames": mean([wait(timeline) for timeline, _ in found]),
        "tid_s": mean([wait(timeline) * period for timeline, period in found]),
        "lgd_frames": mean([longest_gap(timeline) for timeline, _ in found]),
        "lgd_s": mean([longest_gap(timeline) * period for timeline, period in found]),
    }


def mean(values):
    return sum(values) / len(values) if values else np.nan


def trimmed(timeline):
    """From the first frame to the last in which the object is judged, every frame between them: a
    miss where the object is not labelled, nothing where it is ignored."""
    evaluated = [number for number, state in timeline if state != IGNORED]
    states = dict(timeline)
    if not evaluated:
        return []
    every = [(n, states.get(n, "hole")) for n in range(evaluated[0], evaluated[-1] + 1)]
    return [(n, state) for n, state in every if state != IGNORED]


def share(timeline):
    states = [state for _, state in timeline if state != "hole"]
    return states.count(HIT) / len(states)


def fragments(timeline):
    states = "".join(state[0] for _, state in timeline if state != "hole").strip("m")
    return sum(a == "h" and b == "m" for a, b in pairwise(states))


def wait(timeline):
    return [state for _, state in timeline].index(HIT)


def longest_gap(timeline):
    text = "".join("h" if state == HIT else " " for _, state in timeline)
    return max(len(gap) for gap in text.split("h"))

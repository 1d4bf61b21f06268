"""Runs the official nuScenes evaluators on the frames of an oracle file; for the interpreter that
`bench_evaluation.py --devkit-python` names. It does not import leapai.

    DEVKIT/bin/python benchmarks/official_evaluation.py tracking tracking_argoverse2.json

The last line that it prints is JSON: the CPU seconds of the evaluation (without making boxes) and
the metrics by label, which must equal `expected` of the file.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import defaultdict
from typing import Any

import numpy as np


def common(box: dict[str, Any], token: str) -> dict[str, Any]:
    """Returns the arguments that both kinds of boxes share."""
    length, width, height = box["size_lwh_m"]
    half = box["yaw_rad"] / 2
    velocity = [math.nan if v is None else v for v in box["velocity_mps"]]
    return {
        "sample_token": token,
        "translation": tuple(box["center_m"]),
        "size": (width, length, height),
        "rotation": (math.cos(half), 0.0, 0.0, math.sin(half)),
        "velocity": tuple(velocity),
    }


def detection(frames: list[dict[str, Any]]) -> tuple[float, dict[str, Any]]:
    """Returns CPU seconds, and AP and true-positive errors of every label."""
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox
    from nuscenes.eval.detection.evaluate import DetectionEval

    gt, detected = EvalBoxes(), EvalBoxes()
    for number, frame in enumerate(frames):
        token = str(number)
        gt.add_boxes(token, [
            DetectionBox(
                **common(box, token), detection_name=box["label"], num_pts=box["num_points"]
            )
            for box in frame["objects"] if box["num_points"]
        ])  # fmt: skip
        detected.add_boxes(token, [
            DetectionBox(
                **common(box, token), detection_name=box["label"], detection_score=box["score"]
            )
            for box in frame["detections"]
        ])  # fmt: skip
    evaluate = DetectionEval.__new__(DetectionEval)
    evaluate.cfg, evaluate.verbose = config_factory("detection_cvpr_2019"), False
    evaluate.gt_boxes, evaluate.pred_boxes = gt, detected
    start = time.process_time()
    metrics, _ = evaluate.evaluate()
    spent = time.process_time() - start
    labels = {box["label"] for frame in frames for box in frame["objects"]}
    return spent, {
        label: {
            "ap": {str(k): float(v) for k, v in metrics._label_aps[label].items()},
            "tp_errors": {k: float(v) for k, v in metrics._label_tp_errors[label].items()},
        }
        for label in sorted(labels)
    }


def tracking(frames: list[dict[str, Any]]) -> tuple[float, dict[str, Any]]:
    """Returns CPU seconds, and all metrics of every label."""
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.tracking.data_classes import TrackingBox
    from nuscenes.eval.tracking.evaluate import TrackingEval

    settings = config_factory("tracking_nips_2019")
    scores = defaultdict(list)
    for frame in frames:
        for box in frame["detections"]:
            scores[frame["sequence"], box["track_id"]].append(box["score"])

    def boxes(frame: dict[str, Any], kind: str) -> list[Any]:
        return [
            TrackingBox(
                **common(box, ""),
                tracking_id=str(box["track_id"]),
                tracking_name=box["label"],
                tracking_score=float(
                    np.mean(scores[frame["sequence"], box["track_id"]]) if "score" in box else -1
                ),
            )
            for box in frame[kind]
        ]

    evaluate = TrackingEval.__new__(TrackingEval)
    evaluate.cfg, evaluate.verbose, evaluate.output_dir, evaluate.render_classes = (
        settings,
        False,
        "",
        None,
    )
    evaluate.tracks_gt, evaluate.tracks_pred = defaultdict(dict), defaultdict(dict)
    for frame in frames:
        when = frame["timestamp_us"]
        evaluate.tracks_gt[frame["sequence"]][when] = boxes(frame, "objects")
        evaluate.tracks_pred[frame["sequence"]][when] = boxes(frame, "detections")
    start = time.process_time()
    metrics, _ = evaluate.evaluate()
    spent = time.process_time() - start
    labels = {box["label"] for frame in frames for box in frame["objects"]}
    return spent, {
        label: {name: metrics.label_metrics[name][label] for name in metrics.label_metrics}
        for label in sorted(labels)
    }


def main() -> None:
    task, oracle = sys.argv[1:]
    with open(oracle, encoding="utf-8") as file:
        frames = json.load(file)["frames"]
    spent, metrics = {"detection": detection, "tracking": tracking}[task](frames)
    print(json.dumps({"seconds": spent, "metrics": metrics}))


if __name__ == "__main__":
    main()

"""Real frames whose figures the official evaluators gave, as labelled frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from leapai.config import BevConfig
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.types import CLASS_NAMES, Detections, Labels

ORACLES = Path(__file__).resolve().parents[2].parent / "shared" / "oracles"
DETECTION = ORACLES / "detection_nuscenes_mini.json"
TRACKING = ORACLES / "tracking_argoverse2.json"
ABSENT = "real data is absent: ../shared/oracles"
CLASS_OF_LABEL = {
    "car": "car",
    "truck": "truck",
    "bus": "bus",
    "pedestrian": "person",
    "motorcycle": "non_motor",
    "bicycle": "riderless_non_motor",
    "traffic_cone": "pillar",
}
"""Any class but barriers, whose orientation is judged differently."""
WIDE = BevConfig(x_range_m=(-1000.0, 1000.0), y_range_m=(-1000.0, 1000.0))


def labelled_frames(oracle):
    """Of the parsed file."""
    objects = [o for f in oracle["frames"] for o in (*f["objects"], *f["detections"])]
    names = sorted({o["track_id"] for o in objects if "track_id" in o})
    number = {name: i for i, name in enumerate(names)}
    return [labelled_frame(frame, number) for frame in oracle["frames"]]


def labelled_frame(frame, number):
    ego2global = np.array(frame["ego2global"])
    # Figures are those of the plane, so boxes go to a level ego frame: distances stay as they are.
    level = poses.from_xyz_yaw(ego2global[:3, 3], poses.yaw_of(ego2global))
    boxes, velocity, class_id = arrays(frame["objects"], poses.invert(level))
    labels = replace(
        Labels.unlabelled(boxes, class_id),
        velocity_mps=np.nan_to_num(velocity),
        velocity_valid=np.isfinite(velocity).all(1),
        num_lidar_points=np.array([o["num_points"] for o in frame["objects"]], np.int64),
        track_id=track_ids(frame["objects"], number),
    )
    boxes, velocity, class_id = arrays(frame["detections"], poses.invert(level))
    detections = Detections(
        sequence=frame["sequence"],
        timestamp_us=frame["timestamp_us"],
        ego2global=level,
        boxes=boxes,
        velocity_mps=velocity,
        score=np.array([d["score"] for d in frame["detections"]], float),
        class_id=class_id,
        occlusion_level=np.zeros(len(boxes), np.int64),
        track_id=track_ids(frame["detections"], number),
        query_index=np.arange(len(boxes)),
    )
    return LabelledFrame(detections, labels)


def track_ids(objects, number):
    return np.array([number[o["track_id"]] if "track_id" in o else -1 for o in objects], np.int64)


def arrays(objects, ego_from_global):
    boxes = [[*o["center_m"], *o["size_lwh_m"], o["yaw_rad"]] for o in objects]
    velocity = [[*o["velocity_mps"], 0.0] for o in objects]
    names = [CLASS_NAMES.index(CLASS_OF_LABEL[o["label"]]) for o in objects]
    return (
        box_geometry.transform(np.array(boxes, float).reshape(-1, 7), ego_from_global),
        poses.rotate(ego_from_global, np.array(velocity, float).reshape(-1, 3)),
        np.array(names, np.int64),
    )

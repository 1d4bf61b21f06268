"""Detections in the submission formats of nuScenes' detection and tracking tasks.

Both are JSON: `meta`, and `results` by sample token (nuscenes-devkit, `eval/detection/README.md`
and `eval/tracking/README.md`). Boxes are in the global frame; a size is width length height, a
rotation a quaternion w x y z, a velocity x y over ground.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from leapai.data.log import DrivingLog
from leapai.data.nuscenes.nuscenes_classes import attribute_of, counterparts
from leapai.data.nuscenes.nuscenes_reader import NuScenesLog
from leapai.geometry import poses
from leapai.io import whole_file
from leapai.types import Detections

DETECTION_FILE = "results_nusc.json"
TRACKING_FILE = "tracking_results_nusc.json"
MAX_BOXES_A_SAMPLE = 500
"""The official evaluators refuse more."""
_Row = dict[str, Any]


def detection_rows(detections: Detections, sample_token: str) -> list[_Row]:
    """Returns the most confident `MAX_BOXES_A_SAMPLE` entries of the detection format, in order."""
    names = counterparts(detections.vocabulary)
    named = _best(detections, np.array([bool(name.detection) for name in names]))
    return [
        box
        | {
            "detection_name": names[class_id].detection,
            "detection_score": score,
            "attribute_name": attribute_of(names[class_id], velocity),
        }
        for box, class_id, score, velocity in zip(
            _boxes(named, sample_token),
            named.class_id.tolist(),
            named.score.tolist(),
            named.velocity_mps,
            strict=True,
        )
    ]


def tracking_rows(detections: Detections, sample_token: str) -> list[_Row]:
    """Returns entries of the tracking format: the detections that have an identity."""
    names = [each.tracking for each in counterparts(detections.vocabulary)]
    tracked = detections.select(detections.track_id >= 0)
    named = _best(tracked, np.array([bool(name) for name in names]))
    return [
        box
        | {
            "tracking_id": str(track_id),
            "tracking_name": names[class_id],
            "tracking_score": score,
        }
        for box, track_id, class_id, score in zip(
            _boxes(named, sample_token),
            named.track_id.tolist(),
            named.class_id.tolist(),
            named.score.tolist(),
            strict=True,
        )
    ]


def write_nuscenes(
    detections: Iterable[Detections],
    logs: Sequence[DrivingLog],
    output: Path,
    *,
    use_lidar: bool = True,
) -> list[Path]:
    """Writes both submissions of a run over `logs` into `output`; returns their paths.

    The evaluators require every sample of a split and no other: a sample of `logs` without
    detections gets an empty list. Raises ValueError as `sample_tokens` does.
    """
    tokens = sample_tokens(logs)
    by_token = {tokens[d.sequence, d.timestamp_us]: d for d in detections}
    meta = {
        "use_camera": True,
        "use_lidar": use_lidar,
        "use_radar": False,
        "use_map": False,
        "use_external": False,
    }
    files = {output / DETECTION_FILE: detection_rows, output / TRACKING_FILE: tracking_rows}
    for path, rows in files.items():
        _write(path, meta, tokens.values(), by_token, rows)
    return list(files)


def sample_tokens(logs: Sequence[DrivingLog]) -> dict[tuple[str, int], str]:
    """Returns the token of every frame by sequence and timestamp_us. Raises ValueError where a log
    is not of nuScenes."""
    tokens: dict[tuple[str, int], str] = {}
    for log in logs:
        if not isinstance(log, NuScenesLog):
            raise ValueError(
                f"--format nuscenes: {log.name} is no nuScenes scene, so its frames have no sample "
                "tokens; use --data nuscenes:ROOT (`leapai world export` writes one)"
            )
        times_us = log.timestamps_us.tolist()
        tokens.update(
            {(log.name, t): token for t, token in zip(times_us, log.sample_tokens, strict=True)}
        )
    return tokens


def _best(detections: Detections, has_name: np.ndarray) -> Detections:
    named = detections.select(has_name[detections.class_id])
    return named.select(np.argsort(-named.score, kind="stable")[:MAX_BOXES_A_SAMPLE])


def _boxes(detections: Detections, sample_token: str) -> list[_Row]:
    """Returns the fields of boxes that both formats share."""
    if not len(detections):  # SciPy 1.12, which we allow, makes no rotations of nothing
        return []
    ego2global = np.asarray(detections.ego2global, np.float64)
    global_from_box = ego2global @ poses.from_xyz_yaw(detections.position_m, detections.yaw_rad)
    x, y, z, w = Rotation.from_matrix(global_from_box[:, :3, :3]).as_quat().T
    columns = {
        "translation": global_from_box[:, :3, 3],
        "size": detections.size_m[:, [1, 0, 2]],
        "rotation": np.stack([w, x, y, z], -1),
        "velocity": poses.rotate(ego2global, detections.velocity_mps)[:, :2],
    }
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return [{"sample_token": sample_token} | dict(zip(columns, row, strict=True)) for row in rows]


def _write(
    path: Path,
    meta: Mapping[str, bool],
    tokens: Iterable[str],
    by_token: Mapping[str, Detections],
    rows: Callable[[Detections, str], list[_Row]],
) -> None:
    """Writes one sample at a time, because the rows of a whole split would fill gigabytes."""
    with whole_file(path) as temporary, temporary.open("w") as file:
        file.write(f'{{"meta": {json.dumps(meta)},\n"results": {{')
        for i, token in enumerate(tokens):
            entries = rows(by_token[token], token) if token in by_token else []
            file.write(f"{',' if i else ''}\n{json.dumps(token)}: {json.dumps(entries)}")
        file.write("\n}}\n")

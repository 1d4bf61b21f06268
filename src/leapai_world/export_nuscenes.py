"""Export of drives of the embedded world as a nuScenes data set (tables, images, sweeps).

Every code base that reads nuScenes can then be tried without a download. Keyframes come at 2 Hz, as
in nuScenes; the frames between them are its sweeps. Each camera and the LiDAR has the ego pose of
its own time. Data that the format has no place for is lost: acceleration, exact visible fractions,
the time of a point. `static_object.pillar` is a category of our own.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from leapai.data.nuscenes.nuscenes_annotations import OCCLUSION_OF_VISIBILITY
from leapai.data.nuscenes.nuscenes_tables import LIDAR
from leapai.geometry import poses
from leapai.types.frames import CameraFrame, Frame, Labels
from leapai.types.vocabulary import CLASS_NAMES, FloatArray, ImageArray
from leapai_world.sensors.lidar_sensor import Lidar
from leapai_world.sequence import SyntheticSequence
from leapai_world.whole_folder import whole_folder

VERSION = "v1.0-mini"
SPLIT = "world"
"""Name of the split that holds all scenes: `--eval_set world` of the devkit's evaluators (1.2 and
later)."""
KEYFRAME_HZ = 2.0
CATEGORY_OF = {
    "car": "vehicle.car",
    "truck": "vehicle.truck",
    "bus": "vehicle.bus.rigid",
    "person": "human.pedestrian.adult",
    "non_motor": "vehicle.bicycle",
    "riderless_non_motor": "vehicle.bicycle",
    "barrier": "movable_object.barrier",
    "pillar": "static_object.pillar",
}
ATTRIBUTE_OF = {"non_motor": "cycle.with_rider", "riderless_non_motor": "cycle.without_rider"}
JPEG_QUALITY = 95
_Row = dict[str, Any]


def export_nuscenes(
    drives: Sequence[SyntheticSequence],
    output: Path,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Writes `drives` into the new folder `output`; returns the number of keyframes.

    Everything is written next to `output` and moved there at the end: a run that fails leaves
    nothing. `say` is called with the name of each finished drive. Raises ValueError where `output`
    exists, where a drive has no LiDAR or images that are not rectified (use `rig=six`), and where
    the disk is full.
    """
    with whole_folder(output) as temporary:
        _check(drives)
        writer = _Writer(temporary)
        for sequence in drives:
            writer.add_sequence(sequence)
            say(sequence.name)
        writer.write_tables()
    return len(writer.tables["sample"])


def _check(drives: Sequence[SyntheticSequence]) -> None:
    for sequence in drives:
        rig = sequence.rig
        if rig.lidar is None:
            raise ValueError(
                f"{sequence.name} has no LiDAR, but the boxes of a nuScenes sample have the time "
                "and the pose of its sweep: use rig=six"
            )
        for camera in rig.cameras:
            if camera.distortion.any():
                raise ValueError(
                    f"{camera.name} of {sequence.name} has lens distortion "
                    f"{camera.distortion.tolist()}, but nuScenes images are rectified: use rig=six"
                )


def _token(*parts: object) -> str:
    """Returns the token of a row from the parts that make it unique: the same export has the same
    tokens."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def _calibration(sequence: SyntheticSequence, channel: str) -> str:
    """Returns the token of a sensor's calibration, which is that of one drive."""
    return _token(sequence.name, channel, "calibrated")


def _lidar_position_m(lidar: Lidar) -> FloatArray:
    """Returns where the calibration has the LiDAR [3], ego frame."""
    return np.asarray(poses.apply(lidar.calibrated_from_true, lidar.position_ego_m[None])[0])


def _visibility_token(occlusion_level: int) -> str:
    """Returns the visibility token, `1` (hardly visible) to `4` (0 of our levels), as in
    nuScenes."""
    return str(len(OCCLUSION_OF_VISIBILITY) - occlusion_level)


def _pose_fields(pose: FloatArray) -> _Row:
    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
    return {"rotation": [w, x, y, z], "translation": pose[:3, 3].tolist()}


class _Writer:
    """Collects the tables and writes the files of drives."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tables: dict[str, list[_Row]] = defaultdict(list)
        self._category_of: dict[str, str] = {}
        (root / VERSION).mkdir(parents=True)
        (root / "maps").mkdir()
        self._save("maps/none.png", _encoded(".png", np.zeros((8, 8), np.uint8)))
        for table, words in (
            ("category", sorted(set(CATEGORY_OF.values()))),
            ("attribute", sorted(set(ATTRIBUTE_OF.values()))),
        ):
            rows = [{"token": _token(w), "name": w, "description": ""} for w in words]
            self.tables[table] += rows
        self.tables["visibility"] = [
            {"token": _visibility_token(occlusion), "level": word, "description": ""}
            for word, occlusion in OCCLUSION_OF_VISIBILITY.items()
        ]

    def add_sequence(self, sequence: SyntheticSequence) -> None:
        """Adds one scene: its sensors, samples, files and annotations."""
        self._add_sensors(sequence)
        scene, times = _token(sequence.name), sequence.timestamps_us
        step_s = float(np.median(np.diff(times))) / 1e6 if len(times) > 1 else 1.0
        stride = max(1, round(1 / (KEYFRAME_HZ * step_s)))
        keyframes = list(range(0, len(sequence), stride))
        samples = [_token(scene, "sample", index) for index in keyframes]
        self._add_scene(sequence.name, scene, samples)
        files, annotations = len(self.tables["sample_data"]), len(self.tables["sample_annotation"])
        for index in range(len(sequence)):
            frame = sequence[index]
            number = index // stride
            key = index == keyframes[number]
            self._add_files(sequence, frame, samples[number], key)
            if key:
                chain = _neighbours(samples, number)
                row = {"token": samples[number], "timestamp": frame.timestamp_us}
                self.tables["sample"].append(row | chain | {"scene_token": scene})
                self._add_annotations(sequence.name, frame, samples[number])
        self._link_files(self.tables["sample_data"][files:])
        self._link_annotations(self.tables["sample_annotation"][annotations:])

    def write_tables(self) -> None:
        """Writes the JSON files, all thirteen, and `splits.json`, which the official evaluators
        read for the scenes of a split that is not theirs."""
        split = {SPLIT: [scene["name"] for scene in self.tables["scene"]]}
        for table, content in {**self.tables, "splits": split}.items():
            (self.root / VERSION / f"{table}.json").write_text(json.dumps(content, indent=0))

    def _add_scene(self, name: str, scene: str, samples: list[str]) -> None:
        log = _token(name, "log")
        self.tables["scene"].append(
            {
                "token": scene,
                "log_token": log,
                "nbr_samples": len(samples),
                "first_sample_token": samples[0],
                "last_sample_token": samples[-1],
                "name": name,
                "description": "a drive of LeapAI's embedded world",
            }
        )
        details = {"vehicle": "leapai", "date_captured": "2023-11-14", "location": "embedded-world"}
        self.tables["log"].append({"token": log, "logfile": name} | details)
        area = {"category": "semantic_prior", "filename": "maps/none.png"}
        self.tables["map"].append({"token": _token(name, "map"), "log_tokens": [log]} | area)

    def _add_sensors(self, sequence: SyntheticSequence) -> None:
        """Adds the calibrations of a drive, and the sensors that no drive before it had."""
        rig, known = sequence.rig, {row["channel"] for row in self.tables["sensor"]}
        assert rig.lidar is not None
        lidar = poses.from_xyz_yaw(_lidar_position_m(rig.lidar), 0.0)
        mounts = {camera.name: camera.ego_from_camera for camera in rig.cameras}
        intrinsics = {camera.name: camera.intrinsics.tolist() for camera in rig.cameras}
        for channel, pose in {LIDAR: lidar, **mounts}.items():
            modality = "lidar" if channel == LIDAR else "camera"
            sensor = {"token": _token(channel), "channel": channel, "modality": modality}
            if channel not in known:
                self.tables["sensor"].append(sensor)
            row = {"token": _calibration(sequence, channel), "sensor_token": sensor["token"]}
            row |= _pose_fields(pose) | {"camera_intrinsic": intrinsics.get(channel, [])}
            self.tables["calibrated_sensor"].append(row)

    def _add_files(self, sequence: SyntheticSequence, frame: Frame, sample: str, key: bool) -> None:
        lidar = sequence.rig.lidar
        assert frame.points is not None
        assert lidar is not None
        points = np.zeros((len(frame.points), 5), "<f4")  # x y z intensity ring
        points[:, :3] = frame.points[:, :3].astype(np.float64) - _lidar_position_m(lidar)
        points[:, 3] = frame.points[:, 3] * 255.0
        files = [(LIDAR, frame.timestamp_us, (0, 0), "pcd", points.tobytes())]
        files += [
            (camera.name, camera.timestamp_us, camera.size_px, "jpg", _jpeg(camera))
            for camera in frame.cameras
        ]
        for channel, time_us, size_px, kind, content in files:
            suffix = "pcd.bin" if kind == "pcd" else kind
            folder = "samples" if key else "sweeps"
            name = f"{folder}/{channel}/{sequence.name}__{channel}__{time_us}.{suffix}"
            self._save(name, content)
            token = _token(name)
            pose = _pose_fields(sequence.ego2global_at(time_us))
            self.tables["ego_pose"].append({"token": token, "timestamp": time_us} | pose)
            self.tables["sample_data"].append(
                {
                    "token": token,
                    "sample_token": sample,
                    "ego_pose_token": token,
                    "calibrated_sensor_token": _calibration(sequence, channel),
                    "timestamp": time_us,
                    "fileformat": kind,
                    "is_key_frame": key,
                    "height": size_px[0],
                    "width": size_px[1],
                    "filename": name,
                }
            )

    def _add_annotations(self, name: str, frame: Frame, sample: str) -> None:
        labels = frame.labels
        assert labels is not None
        for i in range(len(labels)):
            word = CLASS_NAMES[labels.class_id[i]]
            attribute = ATTRIBUTE_OF.get(word)
            instance = _token(name, "track", labels.track_id[i], word)
            self._category_of[instance] = CATEGORY_OF[word]
            length, width, height = labels.boxes[i, 3:6].tolist()
            self.tables["sample_annotation"].append(
                {
                    "token": _token(sample, labels.track_id[i]),
                    "sample_token": sample,
                    "instance_token": instance,
                    "visibility_token": _visibility_token(labels.occlusion_level[i]),
                    "attribute_tokens": [_token(attribute)] if attribute else [],
                    "size": [width, length, height],
                    "num_lidar_pts": int(labels.num_lidar_points[i]),
                    "num_radar_pts": 0,
                }
                | _box_pose(frame, labels, i)
            )

    def _link_files(self, rows: list[_Row]) -> None:
        """Chains the files of a drive by channel."""
        for chain in _grouped(rows, "calibrated_sensor_token"):
            _link(chain)

    def _link_annotations(self, rows: list[_Row]) -> None:
        """Chains the annotations of a drive by object, and lists the objects."""
        for chain in _grouped(rows, "instance_token"):
            _link(chain)
            self.tables["instance"].append(
                {
                    "token": chain[0]["instance_token"],
                    "category_token": _token(self._category_of[chain[0]["instance_token"]]),
                    "nbr_annotations": len(chain),
                    "first_annotation_token": chain[0]["token"],
                    "last_annotation_token": chain[-1]["token"],
                }
            )

    def _save(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _grouped(rows: list[_Row], field: str) -> Iterable[list[_Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[row[field]].append(row)
    return groups.values()


def _link(chain: list[_Row]) -> None:
    tokens = [row["token"] for row in chain]
    for i, row in enumerate(chain):
        row.update(_neighbours(tokens, i))


def _neighbours(tokens: Sequence[str], i: int) -> _Row:
    """Returns `prev` and `next` of row i of a chain; "" at its ends."""
    return {
        "prev": tokens[i - 1] if i else "",
        "next": tokens[i + 1] if i + 1 < len(tokens) else "",
    }


def _box_pose(frame: Frame, labels: Labels, i: int) -> _Row:
    """Returns translation and rotation of label i in the global frame."""
    ego_from_box = poses.from_xyz_yaw(labels.boxes[i, :3], labels.boxes[i, 6])
    return _pose_fields(np.asarray(frame.ego2global) @ ego_from_box)


def _jpeg(camera: CameraFrame) -> bytes:
    assert camera.image is not None
    return _encoded(".jpg", cv2.cvtColor(camera.image, cv2.COLOR_RGB2BGR))


def _encoded(suffix: str, image: ImageArray) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
    return bytes(cv2.imencode(suffix, image, options)[1])

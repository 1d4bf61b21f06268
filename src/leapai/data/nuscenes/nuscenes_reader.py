"""nuScenes, read from the publisher's files without its devkit (https://www.nuscenes.org).

`nuscenes:ROOT[,version=v1.0-mini][,sweeps=10][,split=val][,scenes=FILE]`. ROOT holds `v1.0-*/`
(JSON tables), `samples/` and `sweeps/`, and `maps/expansion/*.json` where the map expansion is
there; `split` is an official one, `train` or `val`; FILE names scenes, one each line. A sequence is
a scene, a frame is a keyframe (2 Hz). The ego frame is nuScenes' own: its origin is the centre of
the rear axle projected onto the ground (nuscenes-devkit issue 161), as ours. Published images are
rectified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from leapai.data import reading
from leapai.data.log import DrivingLog, OpenOptions
from leapai.data.nuscenes.nuscenes_classes import check_vocabulary, class_ids
from leapai.data.nuscenes.nuscenes_map import MAPPED_CLASSES, read_map
from leapai.data.nuscenes.nuscenes_splits import scenes_of_split
from leapai.data.nuscenes.nuscenes_tables import (
    CAMERA_GROUPS_OF,
    LIDAR,
    Annotations,
    SensorFile,
    Tables,
)
from leapai.data.reading import AnnotatedBoxes, FaultLog, SensorError
from leapai.data.reduced_images import reduced_intrinsics, reduced_size, reduction
from leapai.data.remote_files import source_path
from leapai.geometry import poses
from leapai.types import CameraFrame, FloatArray, Frame, IntArray, Labels, VectorMap, Vocabulary

_POINT_BYTES = 20
MAX_SWEEP_GAP_S = 1.0
"""Longest time from a sweep to the one before it; they are 0.05 s apart."""
MAX_SWEEPS = 100
"""5 s of sweeps at 20 Hz."""
_OPTIONS = {"version": "", "sweeps": "1", "split": "", "scenes": ""}


def open_logs(location: str, options: OpenOptions) -> list[NuScenesLog]:
    """Opens the scenes of `ROOT[,version=...][,sweeps=N][,split=NAME][,scenes=FILE]`; labels are in
    the vocabulary of `options`, and images are reduced where they ask for it.

    With `sweeps=N` the points of the N - 1 sweeps before the keyframe are added, motion compensated
    by the ego poses. With `scenes=FILE` only those named in it are opened, a split for example.
    Raises ValueError where a table is missing, incomplete, or not finite, or a scene is not there.
    """
    check_vocabulary(options.vocabulary)
    root, given = _parse(location)
    version, sweeps = given["version"], int(given["sweeps"])
    tables = Tables(root, version)
    faults = FaultLog(root)
    names = _listed_scenes(given["scenes"], tables) if given["scenes"] else [*tables.scenes]
    if given["split"]:
        names = scenes_of_split(given["split"], version, names)
    logs = [NuScenesLog(name, tables, sweeps, faults) for name in names]
    for log in logs:
        log.vocabulary, log.least_image_px = options.vocabulary, options.least_image_px
        log.static_classes = tuple(
            name for name in MAPPED_CLASSES if name in options.vocabulary.map_classes
        )
        log.table_folders = (root / version, root / "maps", root / "maps" / "expansion")
    return logs


def _parse(location: str) -> tuple[Path, dict[str, str]]:
    """Returns the root folder and the checked options. A comma that no `NAME=` follows belongs to a
    path."""
    root, *pairs = re.split(r",(?=[A-Za-z_]*=)", location)
    options = dict(_OPTIONS)
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in options:
            known = ", ".join(options)
            raise ValueError(f"nuscenes:{location}: unknown option '{name}'; use one of: {known}")
        options[name] = value
    sweeps = options["sweeps"]
    if not (sweeps.isascii() and sweeps.isdigit() and 0 < int(sweeps[:4]) <= MAX_SWEEPS):
        raise ValueError(f"nuscenes:{location}: sweeps must be a whole number of 1 to {MAX_SWEEPS}")
    folder = source_path(root)
    options["version"] = options["version"] or _only_version(folder)
    return folder, options


def _listed_scenes(path: str, tables: Tables) -> list[str]:
    """Returns the scenes that the file `path` names, in its order."""
    try:
        names = source_path(path).read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"nuscenes: scenes={path} cannot be read: {error}") from error
    unknown = sorted(set(names) - set(tables.scenes))
    if unknown or not names:
        raise ValueError(
            f"nuscenes: scenes={path} names {unknown[0] if unknown else 'no scene'}, which is not "
            f"in this version; name some of its {len(tables.scenes)} scenes, one a line"
        )
    return list(dict.fromkeys(names))


def _only_version(root: Path) -> str:
    versions = sorted(folder.name for folder in root.glob("v1.0-*") if folder.is_dir())
    if not versions:
        raise ValueError(
            f"nuscenes:{root}: there is no folder v1.0-* with tables; give the root folder"
        )
    if len(versions) > 1:
        raise ValueError(
            f"nuscenes:{root}: there are several versions ({', '.join(versions)}); "
            f"choose one: nuscenes:{root},version={versions[0]}"
        )
    return versions[0]


class NuScenesLog(DrivingLog):
    """One nuScenes scene. Sensors are read when a frame is asked for."""

    static_classes = MAPPED_CLASSES
    least_image_px: tuple[int, int] | None = None
    """Height, width that reduced images have at least; None: they are not reduced."""

    def __init__(self, name: str, tables: Tables, sweeps: int, faults: FaultLog) -> None:
        self.name = name
        self._sweeps = sweeps
        self._faults = faults
        self._tables, self._samples = tables, tables.scenes[name]
        self.table_notes = tables.notes
        self._map = tables.maps.get(name)

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64, of the LiDAR keyframes; of a camera where a sample has none."""
        return self._tables.times_us(self._samples)

    @property
    def sample_tokens(self) -> list[str]:
        """[T] names of the frames in nuScenes."""
        return self._tables.tokens(self._samples)

    @cached_property
    def _rig(self) -> Mapping[str, SensorFile]:
        """A file of each channel, for what a keyframe without one lacks."""
        return self._tables.rig(self._samples)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Frame:
        sample = self._samples[index]
        files, reference = self._tables.keyframes(sample), self._tables.reference(sample)
        faults: list[str] = []
        channels = [channel for channel in CAMERA_GROUPS_OF if channel in self._rig]
        return Frame(
            sequence=self.name,
            timestamp_us=reference.timestamp_us,
            ego2global=reference.global_from_ego.copy(),
            cameras=tuple(self._camera(files, reference, channel, faults) for channel in channels),
            points=self._points(files.get(LIDAR), reference, faults),
            labels=self._labels(sample, reference),
            faults=tuple(faults),
        )

    def ground_truth(self, index: int) -> Frame:
        """Returns pose and labels of a frame without reading a sensor."""
        sample = self._samples[index]
        reference = self._tables.reference(sample)
        return Frame(
            sequence=self.name,
            timestamp_us=reference.timestamp_us,
            ego2global=reference.global_from_ego.copy(),
            cameras=(),
            points=None,
            labels=self._labels(sample, reference),
        )

    def vector_map(self) -> VectorMap | None:
        """Returns lane dividers, lanes, crossings, drivable areas and their edges around the scene;
        None: the map expansion, a separate download, is not there."""
        if self._map is None:
            return None
        return read_map(self._map, self._tables.positions_m(self._samples)[:, :2])

    def has_sweep(self, index: int) -> bool:
        """Returns whether the LiDAR file of the frame is there (it may still turn out broken)."""
        lidar = self._tables.keyframes(self._samples[index]).get(LIDAR)
        return lidar is not None and lidar.path.is_file()

    def annotated_boxes(self, index: int) -> AnnotatedBoxes | None:
        """Returns all boxes of a frame, mapped to our classes or not; None: the version has no
        annotations.

        Recorded point numbers count the keyframe's sweep alone; with more sweeps they are all -1.
        """
        sample = self._samples[index]
        table = self._tables.annotations(sample)
        if table is None:
            return None
        recorded = _recorded(table, self._tables.reference(sample), self.vocabulary)
        if self._sweeps > 1:
            return recorded._replace(num_lidar_points=np.full(len(recorded.words), -1))
        return recorded

    def _labels(self, sample: int, reference: SensorFile) -> Labels | None:
        table = self._tables.annotations(sample)
        if table is None:
            return None
        velocity = poses.rotate(poses.invert(reference.global_from_ego), table.velocity_mps)
        known = np.isfinite(velocity[:, 0])
        count, recorded = len(known), _recorded(table, reference, self.vocabulary)
        labels = Labels(
            boxes=recorded.upright,
            class_id=recorded.class_id,
            velocity_mps=np.where(known[:, None], velocity, 0.0),
            velocity_valid=known,
            occlusion_level=table.occlusion_level,
            track_id=table.track_id,
            num_lidar_points=table.num_lidar_points,
            visible_fraction=np.full(count, np.nan),  # a range is recorded, no fraction
            acceleration_mps2=np.full((count, 3), np.nan),
            num_radar_points=table.num_radar_points,
            vocabulary=self.vocabulary,
        )
        return labels.select(recorded.class_id >= 0)

    def _camera(
        self,
        files: Mapping[str, SensorFile],
        reference: SensorFile,
        channel: str,
        faults: list[str],
    ) -> CameraFrame:
        # A keyframe without this camera's row still has the camera, with the scene's calibration.
        file = files.get(channel, self._rig[channel])
        taken = channel in files
        ego_from_global = poses.invert(reference.global_from_ego)
        motion = ego_from_global @ file.global_from_ego if taken else np.eye(4)
        image, factor = None, reduction(file.size_px, self.least_image_px)
        try:
            if not taken:
                raise SensorError(
                    file.path.parent, f"no keyframe image at {reference.timestamp_us} us"
                )
            image = reading.read_image(file.path, file.size_px, factor)
        except SensorError as fault:
            faults.append(self._faults.note(channel, fault))
        return CameraFrame(
            name=channel,
            group=CAMERA_GROUPS_OF[channel],
            image=image,
            size_px=reduced_size(file.size_px, factor),
            intrinsics=reduced_intrinsics(file.calibration.intrinsics, factor),
            distortion=np.zeros(5),
            ego_from_camera=motion @ file.calibration.ego_from_sensor,
            timestamp_us=file.timestamp_us if taken else reference.timestamp_us,
        )

    def _points(
        self, lidar: SensorFile | None, reference: SensorFile, faults: list[str]
    ) -> FloatArray | None:
        """Reads the points [P, 5] of the keyframe and the sweeps before it; None: the sweep of the
        keyframe failed, or has no row."""
        if lidar is None:
            faults.append(f"{LIDAR}: no keyframe sweep at {reference.timestamp_us} us")
            return None
        clouds: list[FloatArray] = []
        file: SensorFile | None = lidar
        latest_us = lidar.timestamp_us + 1
        for _ in range(self._sweeps):
            if file is None or not 0 < latest_us - file.timestamp_us <= MAX_SWEEP_GAP_S * 1e6:
                break  # the scene begins here, or the chain of files is broken
            try:
                clouds.append(_read_sweep(file, lidar))
            except SensorError as fault:
                faults.append(self._faults.note(LIDAR, fault))
                if file is lidar:
                    return None
            latest_us = file.timestamp_us
            file = self._tables.file(file.previous) if file.previous >= 0 else None
        return np.concatenate(clouds)


def _recorded(table: Annotations, reference: SensorFile, vocabulary: Vocabulary) -> AnnotatedBoxes:
    """Returns the boxes of a sample in the ego frame."""
    return AnnotatedBoxes(
        ego_from_box=poses.invert(reference.global_from_ego) @ table.global_from_box,
        size_lwh_m=table.size_lwh_m,
        words=table.words,
        class_id=class_ids(table.words, table.class_id, vocabulary),
        num_lidar_points=table.num_lidar_points,
    )


def _read_sweep(file: SensorFile, lidar: SensorFile) -> FloatArray:
    """Reads the points [P, 5] of one sweep in the ego frame of the keyframe `lidar`. Raises
    SensorError."""
    content = reading.read_bytes(file.path)
    if len(content) % _POINT_BYTES:
        raise SensorError(file.path, f"is truncated: {len(content)} bytes are no whole points")
    raw = np.frombuffer(content, "<f4").reshape(-1, 5)  # x y z intensity ring
    reading.check_range(raw[:, :3], file.path)
    ego_from_sensor = file.calibration.ego_from_sensor
    if file is not lidar:
        now_from_then = poses.invert(lidar.global_from_ego) @ file.global_from_ego
        ego_from_sensor = now_from_then @ ego_from_sensor
    points = np.empty((len(raw), 5), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # dropped where frames are checked
        points[:, :3] = poses.apply(ego_from_sensor, raw[:, :3].astype(np.float64))
    points[:, 3] = raw[:, 3] / 255.0
    points[:, 4] = (file.timestamp_us - lidar.timestamp_us) / 1e6
    return points

"""An exported network as a session runs it: a frame in, arrays out, without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from leapai.config.problems import one_line
from leapai.config.schema import TaskConfig
from leapai.config.untrusted_data import untrusted
from leapai.data.transforms import stacked, stacked_images
from leapai.models.camera_rays import ray_depths
from leapai.models.cell_projection import STRIDE, FeatureMaps, Rigs, projected_cells
from leapai.runtime.graph_contract import check_inputs, check_outputs, check_slots, slot_names
from leapai.runtime.host_memory import FeatureRing, HostMemory, HostMotion, motion_since
from leapai.runtime.manifest import MOST_LENGTH, FreeLength, Manifest, read_manifest
from leapai.runtime.onnx_graph import Graph, GraphChain
from leapai.runtime.pillar_grouping import PillarGrouping
from leapai.types import (
    CAMERA_GROUPS,
    BevGrid,
    CameraFrame,
    Detections,
    Frame,
    NetworkStep,
    ObjectOutputs,
    SlotsRead,
    ids_of_slots,
)

_FEWEST_PAIRS = 2
"""Pairs of cell and camera that a graph takes at least."""
_NOWHERE = -1e6
"""Place on a map, in cells, that is outside of all of them, where samples are zero."""
_FREE = {
    *("job_name", "data", "evaluation", "tracking", "draw_dynamic_cfg", "draw_static_cfg"),
    *("temporal_visualization", "eval_with_visualize", "eval_instance", "training", "cache"),
}
"""Variables of a configuration that the graph does not depend on."""
_THRESHOLDS = "occlusion_thresholds"


class ExportedNetwork:
    """Runs one stream through the graphs of a folder that `leapai export` has written."""

    def __init__(
        self, folder: Path, device: str | None = None, engine_cache: Path | None = None
    ) -> None:
        """`engine_cache`: folder in which TensorRT keeps its engines. Raises ValueError where the
        folder is not one, or the device is not there."""
        self.folder, self.manifest = folder, read_manifest(folder)
        self.config = config = config_of(folder, self.manifest)
        chain = GraphChain(folder, self.manifest, device, engine_cache)
        self.device, self.threads, self.graphs = chain.device, chain.threads, chain.graphs
        self.graph: Graph = chain
        """Runs the step, by `graphs`; a measurement may put itself around it."""
        bev, lidar = config.bev, config.lidar
        pillars = BevGrid(bev.x_range_m, bev.y_range_m, bev.z_range_m, lidar.pillar_m)
        self._grouping = PillarGrouping(lidar, pillars, self._most("P"))
        self._ring = FeatureRing(config) if config.enable_static_temporal else None
        self._rig = tuple(g for g in CAMERA_GROUPS for _ in range(self.manifest.cameras[g]))
        self._tables: tuple[bytes, dict[str, np.ndarray]] = (b"", {})
        self._check_contract()

    def __str__(self) -> str:
        """Returns the path of the folder, which names the network to a user."""
        return str(self.folder)

    def _check_contract(self) -> None:
        """Raises ValueError where the graph does not fit the configuration: a frame whose sensors
        all failed has every input."""
        check_slots(self.folder, self.manifest, self.config)
        memory, frame = self.empty_memory(), Frame("", 0, np.eye(4), cameras=(), points=None)
        motion = motion_since(memory, frame, self.config.max_gap_s, is_first=True)
        check_inputs(self.folder, self.manifest, self.graph_inputs(frame, memory, motion))
        check_outputs(self.folder, self.manifest, self.config)

    def _most(self, letter: FreeLength) -> int:
        """Returns the bound of a free length; that of all where no input has it."""
        bounds = self.manifest.lengths.get(letter)
        return bounds.most if bounds else MOST_LENGTH

    @property
    def sha256(self) -> str:
        """Digest of the checkpoint that was exported."""
        return self.manifest.checkpoint_sha256

    def check_config(self, config: TaskConfig) -> None:
        """Raises ValueError where a configuration changes what is fixed in the graph."""
        ours, theirs = (each.model_dump(exclude=_FREE) for each in (self.config, config))
        changed = [name for name in ours if ours[name] != theirs[name]]
        if changed:
            raise ValueError(
                f"{self.folder}: {', '.join(changed)} cannot be changed in an exported network; "
                "change the configuration of its checkpoint, and export again"
            )

    def empty_memory(self) -> HostMemory:
        """Returns the memory before the first frame."""
        return HostMemory(
            slots={
                tensor.name: np.zeros([int(length) for length in tensor.shape], tensor.type)
                for tensor in self.manifest.inputs
                if tensor.name in slot_names(self.config)
            }
        )

    def step(self, frame: Frame, memory: HostMemory, *, is_first: bool) -> NetworkStep:
        """Runs one frame, which `data.transforms.fitted` has prepared. Raises ValueError for a rig
        with more cameras than the graph has."""
        motion = motion_since(memory, frame, self.config.max_gap_s, is_first=is_first)
        memory = replace(memory, ring=()) if motion.reset else memory
        outputs = self.graph(self.graph_inputs(frame, memory, motion))
        found = {name: array[0] for name, array in outputs.items() if name != _THRESHOLDS}
        has_objects = "boxes" in found
        return NetworkStep(
            objects=ObjectOutputs(
                found["class_logits"],
                found["boxes"],
                found["occlusion_score"],
                outputs[_THRESHOLDS],
            )
            if has_objects
            else None,
            slots=_slots_read(found, memory, motion) if has_objects else None,
            map_logits=found.get("map_logits"),
            memory=self._next(memory, outputs, frame, motion),
        )

    def with_ids(self, memory: HostMemory, detections: Detections) -> HostMemory:
        """Returns the memory whose newest slots carry the ids of the detections."""
        if "track_id" not in memory.slots:
            return memory
        names = ("track_id", "query_index", "timestamp_us", "valid")
        track_id, query_index, timestamp_us, valid = (memory.slots[name][0] for name in names)
        newest = valid & (timestamp_us == memory.last_timestamp_us)
        ids = ids_of_slots(track_id, query_index, newest, detections)
        return replace(memory, slots={**memory.slots, "track_id": ids[None]})

    def graph_inputs(
        self, frame: Frame, memory: HostMemory, motion: HostMotion
    ) -> dict[str, np.ndarray]:
        """Returns the inputs of the graph for a prepared frame, by name."""
        rig = replace(frame, cameras=self._on_rig(frame))
        inputs = {
            "images": stacked_images(rig),
            "camera_valid": np.array([camera.image is not None for camera in rig.cameras]),
            **self._cells(rig),
        }
        if self.config.enable_lidar:
            points = np.zeros((0, 5), np.float32) if frame.points is None else frame.points
            inputs |= self._grouping(points.astype(np.float32))
            inputs["lidar_valid"] = np.array([frame.points is not None])
        if slot_names(self.config):
            now_us = np.array([frame.timestamp_us])
            inputs |= {"now_us": now_us, **motion.inputs(), **memory.slots}
        if self._ring:
            inputs |= self._ring.inputs(memory.ring, frame)
        return inputs

    def _on_rig(self, frame: Frame) -> tuple[CameraFrame, ...]:
        """Returns the cameras in the places of the graph: by group, or in their order where all
        groups share a backbone. A place that is left is a failed camera."""
        left = list(frame.cameras)
        placed = []
        for group in self._rig:
            fits = (i for i, c in enumerate(left) if self.config.camera.shared or c.group == group)
            index = next(fits, None)
            size_px = self.config.camera.image_size_px
            placed.append(_absent(group, size_px) if index is None else left.pop(index))
        if left:
            names = ", ".join(camera.name for camera in left)
            have = ", ".join(f"{n} {group}" for group, n in self.manifest.cameras.items())
            raise ValueError(
                f"{frame.sequence}: the graph has no place for {names}; it has {have}; export "
                "again with the cameras of this rig (leapai export --cameras)"
            )
        return tuple(placed)

    def _cells(self, frame: Frame) -> dict[str, np.ndarray]:
        """Returns the projection of the BEV cells, made anew where the calibration changes."""
        rigs = Rigs(
            stacked([frame], "intrinsics", (3, 3)),
            stacked([frame], "distortion", (5,)),
            stacked([frame], "ego_from_camera", (4, 4)),
            np.array([[camera.image is not None for camera in frame.cameras]]),
        )
        key = b"".join(array.tobytes() for array in vars(rigs).values())
        known, tables = self._tables  # once: another thread may replace both
        if key != known:
            camera = self.config.camera
            height, width = (side // STRIDE for side in camera.image_size_px)
            maps = FeatureMaps((height, width), STRIDE)
            cells = projected_cells(self.config.bev.grid(), camera.heights_m, rigs, maps)
            self._check_pairs(len(cells.pair_cell))
            tables = _filled_up(vars(cells))
            if camera.depth_bins:
                tables["ray_depth_m"] = ray_depths(camera.heights_m, rigs, maps)
            else:
                del tables["depth_m"]
            self._tables = (key, tables)
        return tables

    def _check_pairs(self, count: int) -> None:
        """Raises ValueError where the cameras of a rig see more cells than the graph takes."""
        most = self._most("M")
        if count > most:
            raise ValueError(
                f"{self.folder}: the cameras of this rig see {count} pairs of a BEV cell and a "
                f"camera, and the graph takes at most {most}; export again with --pairs"
            )

    def _next(
        self,
        memory: HostMemory,
        outputs: Mapping[str, np.ndarray],
        frame: Frame,
        motion: HostMotion,
    ) -> HostMemory:
        ring = memory.ring
        if self._ring and motion.has_pose and outputs["next_bev_is_finite"][0]:
            ring = self._ring.pushed(ring, frame, outputs["next_bev"][0])
        return HostMemory(
            slots={name: outputs[f"next_{name}"] for name in memory.slots},
            ring=ring,
            last_ego2global=np.array(frame.ego2global, np.float64) if motion.has_pose else None,
            last_timestamp_us=frame.timestamp_us,
        )


def config_of(folder: Path, manifest: Manifest) -> TaskConfig:
    """Returns the configuration of an exported network; data that it names by a function of code is
    marked as `untrusted`. Raises ValueError where it is not valid."""
    try:
        config = TaskConfig.model_validate_json(json.dumps(manifest.config))
    except ValidationError as error:
        raise ValueError(
            f"{folder}: its configuration, of version {manifest.version}, is not valid here: "
            f"{one_line(error, TaskConfig)}; export again"
        ) from None
    train = config.data.train
    sources = untrusted(train) if isinstance(train, str) else tuple(map(untrusted, train))
    return config.replace(
        data={"train": sources, "val": untrusted(config.data.val)},
        training={"pretrained_backbone": ""},
    )


def _slots_read(
    found: Mapping[str, np.ndarray], memory: HostMemory, motion: HostMotion
) -> SlotsRead:
    """Returns the slots as the graph read them; none where it has no memory."""
    if "memory_valid" not in found:
        none = np.zeros(0, np.int64)
        places = np.zeros((0, 3), np.float32)
        return SlotsRead(none > 0, none, none, none, places, places, motion.reset)
    valid = found["memory_valid"]
    track_id, class_id, timestamp_us = (
        memory.slots[name][0] for name in ("track_id", "class_id", "timestamp_us")
    )
    return SlotsRead(
        valid=valid,
        track_id=np.where(valid, track_id, -1),
        class_id=class_id,
        timestamp_us=timestamp_us,
        reference_m=found["memory_reference_m"],
        velocity_mps=found["memory_velocity_mps"],
        reset=motion.reset,
    )


def _absent(group: str, size_px: tuple[int, int]) -> CameraFrame:
    """Returns a camera that failed, in the place of one that a rig does not have."""
    return CameraFrame(
        name=f"no {group}",
        group=group,
        image=None,
        size_px=size_px,
        intrinsics=np.eye(3),
        distortion=np.zeros(5),
        ego_from_camera=np.eye(4),
        timestamp_us=0,
    )


def _filled_up(cells: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns tables with as many pairs as a graph needs: those added see nothing."""
    missing = max(_FEWEST_PAIRS - len(cells["pair_cell"]), 0)
    filled = dict(cells)
    values = {"pair_map": 0, "pair_cell": 0, "anchor": _NOWHERE, "anchor_seen": 1, "depth_m": 1}
    for name, value in values.items():
        widths = [(0, missing)] + [(0, 0)] * (cells[name].ndim - 1)
        filled[name] = np.pad(cells[name], widths, constant_values=value)
    return filled

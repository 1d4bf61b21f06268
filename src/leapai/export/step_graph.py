"""The step, or a part of it, with named tensors in and out, as exported graphs have it, for one
stream.

What needs float64 or bookkeeping is not part of it. The host (`leapai.runtime`) forms relative
poses, decides on resets, projects the BEV cells, groups the points into pillars, keeps the ring of
map features, and tracks.

Letters: N cameras, P points, M pairs of cell and camera, V pillars, Q queries, S history slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import torch
from torch import Tensor, nn

from leapai.config.schema import TaskConfig
from leapai.models.camera import STRIDES, encoding_order
from leapai.models.cell_projection import CellProjection
from leapai.models.host_tables import HostTables
from leapai.models.lidar import Pillars
from leapai.models.perception import Perception
from leapai.models.projection import with_taps
from leapai.models.static.bev_memory import Past, StaticTemporalFusion
from leapai.models.tensors import FrameBatch, Motion, TemporalState
from leapai.runtime.host_memory import MEMORY_READOUT, MEMORY_SLOTS
from leapai.types import CAMERA_GROUPS

CELLS = tuple(f.name for f in fields(CellProjection))
"""Inputs that are fields of `CellProjection`."""
NO_MOTION = Motion(
    reset=torch.ones(1, dtype=torch.bool),
    has_pose=torch.ones(1, dtype=torch.bool),
    prev2curr=torch.eye(4)[None],
    interval_s=torch.zeros(1),
)
"""Motion in a first frame, and of a network without memory."""
BEV = "bev"
"""The output of the trunk, which the tasks take."""
_LAST = 65504.0
"""Largest value of float16, in which features of the map are kept."""


class StepGraph(nn.Module):
    """The step of one stream as a function of tensors in the order of `names`, or one of the parts
    that `step_parts.part_of` makes: the trunk gives `bev`, which the tasks take."""

    encoded: Tensor
    maps: Tensor

    def __init__(self, model: Perception, cameras: tuple[int, ...], names: tuple[str, ...]) -> None:
        """`cameras`: how many each of `CAMERA_GROUPS` has."""
        super().__init__()
        self.model, self.config, self.names = model.eval(), model.config, names
        self.groups = tuple(g for g, count in enumerate(cameras) for _ in range(count))
        valid = torch.ones(1, len(self.groups), dtype=torch.bool)
        encoded, self.counts, maps = encoding_order(
            valid, self.groups, shared=self.config.camera.shared
        )
        # Which camera is of which group is fixed, so that every shape of images is, too.
        self.register_buffer("encoded", encoded, persistent=False)
        self.register_buffer("maps", maps, persistent=False)

    def forward(self, values: list[Tensor]) -> tuple[Tensor, ...]:
        """Returns the outputs, in the order of `outputs`."""
        return tuple(self.outputs(dict(zip(self.names, values, strict=True))).values())

    def outputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the outputs by name."""
        batch = self._batch(inputs)
        bev = inputs[BEV] if BEV in inputs else self.model.trunk(batch)
        return {**self._objects(bev, batch, inputs), **self._map(bev, inputs)} or {BEV: bev}

    def _objects(
        self, bev: Tensor, batch: FrameBatch, inputs: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        if self.model.bev_dynamic_head is None:
            return {}
        state = self._state(inputs)
        dynamic, after = self.model.dynamic_task(bev, batch, state)
        assert dynamic is not None
        report = dynamic.memory
        memory = {f"memory_{name}": getattr(report, name) for name in MEMORY_READOUT}
        following = {f"next_{name}": getattr(after, name) for name in MEMORY_SLOTS}
        return {
            "class_logits": dynamic.class_logits[-1],
            "boxes": dynamic.boxes,
            "occlusion_score": dynamic.occlusion_score[-1],
            "occlusion_thresholds": dynamic.occlusion_thresholds,
            **(memory | following if self.config.history_slots else {}),
        }

    def _map(self, bev: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        model = self.model
        if model.bev_static_head is None:
            return {}
        features, kept = model.bev_static_neck(bev), {}
        fusion = model.bev_static_temporal_fusion
        if isinstance(fusion, StaticTemporalFusion):
            past = Past(inputs["past_bev"], inputs["past_from_now"], inputs["past_found"])
            features = fusion.fuse(features, fusion.warped(past))
            kept = {
                "next_bev": features.clamp(-_LAST, _LAST).half(),
                "next_bev_is_finite": features.isfinite().flatten(1).all(1),
            }
        return {"map_logits": model.bev_static_head(features).logits, **kept}

    def _state(self, inputs: Mapping[str, Tensor]) -> TemporalState:
        """Returns the memory; what only the host reads of it is that of an empty one."""
        empty = self.model.initial_state(1)
        given = {name: inputs[name] for name in MEMORY_SLOTS if name in inputs}
        kept = {f.name: getattr(empty, f.name) for f in fields(empty)} | {"static": None}
        return TemporalState(**(kept | given))

    def _batch(self, inputs: Mapping[str, Tensor]) -> FrameBatch:
        """Returns the inputs as a batch; what the network does not read of it is zero."""
        cameras, nothing = len(self.groups), torch.zeros(1, dtype=torch.bool)
        images = inputs.get("images", torch.zeros(cameras, 3, 0, 0, dtype=torch.uint8))
        motion = {f.name: inputs.get(f.name, getattr(NO_MOTION, f.name)) for f in fields(Motion)}
        return FrameBatch(
            images=images[None],
            camera_valid=inputs.get("camera_valid", nothing.expand(cameras))[None],
            intrinsics=torch.zeros(1, cameras, 3, 3),
            distortion=torch.zeros(1, cameras, 5),
            ego_from_camera=torch.zeros(1, cameras, 4, 4),
            points=torch.zeros(0, 5),
            point_stream=torch.zeros(0, dtype=torch.int64),
            lidar_valid=inputs.get("lidar_valid", nothing),
            timestamp_us=inputs.get("now_us", torch.zeros(1, dtype=torch.int64)),
            ego2global=torch.zeros(1, 4, 4),
            is_first=nothing,
            camera_groups=self.groups,
            tables=self._tables(inputs) if "images" in inputs else None,
            motion=Motion(**motion),
            pillars=_pillars(inputs) if "points" in inputs else None,
        )

    def _tables(self, inputs: Mapping[str, Tensor]) -> HostTables:
        height, width = (side // STRIDES[0] for side in inputs["images"].shape[-2:])
        cells = {name: inputs[name] for name in CELLS if name in inputs}
        projection = with_taps({"depth_m": torch.zeros(0), **cells}, (height, width))
        return HostTables(
            self.encoded, self.counts, self.maps, projection, inputs.get("ray_depth_m")
        )


def _pillars(inputs: Mapping[str, Tensor]) -> Pillars:
    """Returns the points that the host has grouped, all of which count."""
    pillar, cell = inputs["point_pillar"], inputs["pillar_cell"]
    sizes = torch.zeros(len(cell) + 1, dtype=torch.int64)
    sizes = sizes.index_add(0, pillar, torch.ones_like(pillar))
    return Pillars(
        points=inputs["points"],
        counts=torch.ones_like(pillar, dtype=torch.bool),
        pillar=pillar,
        offsets=sizes.cumsum(0) - sizes,
        cell=cell,
    )


def example_inputs(model: Perception, cameras: tuple[int, ...]) -> dict[str, Tensor]:
    """Returns inputs by name, in the order in which the graph has them, of valid shapes and types.
    Those that a network, or the part that it is, does not read are left out."""
    has_trunk = "fuser" in dict(model.named_children())
    trunk = _example_sensors(model, cameras) if has_trunk else _example_bev(model.config)
    return trunk | _example_memory(model)


def _example_bev(config: TaskConfig) -> dict[str, Tensor]:
    grid = config.bev.grid()
    return {BEV: torch.zeros(1, config.bev.channels, grid.rows, grid.columns)}


def _example_sensors(model: Perception, cameras: tuple[int, ...]) -> dict[str, Tensor]:
    config, count = model.config, sum(cameras)
    height, width = config.camera.image_size_px
    inputs = {
        "images": torch.zeros(count, 3, height, width, dtype=torch.uint8),
        "camera_valid": torch.ones(count, dtype=torch.bool),
    }
    return inputs | _example_pillars(model) | _example_tables(config, count)


def _example_pillars(model: Perception, points: int = 97) -> dict[str, Tensor]:
    if model.lidar_vfe is None:
        return {}
    grouping = model.lidar_vfe.grouping
    return {
        "points": torch.rand(points, 5),
        "point_pillar": torch.arange(points).clamp(max=grouping.max_pillars),
        "pillar_cell": torch.arange(grouping.max_pillars),
        "lidar_valid": torch.ones(1, dtype=torch.bool),
    }


def _example_tables(config: TaskConfig, cameras: int, pairs: int = 53) -> dict[str, Tensor]:
    cells = config.bev.grid().rows * config.bev.grid().columns
    heights = len(config.camera.heights_m)
    offsets = torch.full((cells,), pairs)
    offsets[:pairs] = torch.arange(pairs)
    tables = {
        "pair_map": torch.zeros(pairs, dtype=torch.int32),
        "pair_cell": torch.arange(pairs),
        "cell_offsets": offsets,
        "cameras_of_cell": torch.ones(cells),
        "samples_of_cell": torch.ones(cells),
        "anchor": torch.zeros(pairs, heights, 2),
        "anchor_seen": torch.ones(pairs, heights, dtype=torch.bool),
    }
    if config.camera.depth_bins:
        tables["depth_m"] = torch.ones(pairs, heights)
        size = (side // STRIDES[0] for side in config.camera.image_size_px)
        tables["ray_depth_m"] = torch.ones(cameras, heights, *size)
    return tables


def _example_memory(model: Perception) -> dict[str, Tensor]:
    config, inputs = model.config, {}
    if model.bev_dynamic_head is not None and config.history_slots:
        state = model.initial_state(1)
        inputs = {
            "now_us": torch.zeros(1, dtype=torch.int64),
            **vars(NO_MOTION),
            **{name: getattr(state, name) for name in MEMORY_SLOTS},
        }
    if model.bev_static_temporal_fusion is not None:
        kept = model.initial_state(1).static
        assert kept is not None
        ages = len(config.static.past_s)
        inputs |= {
            "past_bev": kept.bev[:, :ages].contiguous(),
            "past_from_now": torch.eye(4).expand(1, ages, 4, 4).contiguous(),
            "past_found": torch.zeros(1, ages, dtype=torch.bool),
        }
    return inputs


def cameras_by_group(counts: tuple[int, ...]) -> dict[str, int]:
    """Returns how many cameras each group has, by its name."""
    return dict(zip(CAMERA_GROUPS, counts, strict=True))

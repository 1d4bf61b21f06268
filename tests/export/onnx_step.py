"""The exported step under ONNX Runtime with a host of PyTorch, in the place of the network."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace

import onnxruntime
import torch
from torch import Tensor

from leapai.export.step_graph import MEMORY
from leapai.models.dynamic.query_memory import motion_of
from leapai.models.perception import Perception
from leapai.models.reset import with_pose
from leapai.models.static.bev_memory import forget, push
from leapai.models.tensors import FrameBatch, StaticPredictions, TemporalState


class OnnxStep:
    """Offers what a session needs of a network; the network itself only prepares batches."""

    def __init__(self, host: Perception, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.host, self.config = host, host.config
        self.runner = onnxruntime.InferenceSession(graph, options)
        self.names = [value.name for value in self.runner.get_inputs()]
        self.outputs = [value.name for value in self.runner.get_outputs()]
        self.prepared, self.initial_state = host.prepared, host.initial_state

    def to(self, _device: object) -> OnnxStep:
        return self

    def eval(self) -> OnnxStep:
        return self

    def __call__(
        self, batch: FrameBatch, state: TemporalState
    ) -> tuple[SimpleNamespace, TemporalState]:
        inputs = self._inputs(batch, state)
        arrays = self.runner.run(None, {name: inputs[name].numpy() for name in self.names})
        found = dict(zip(self.outputs, map(torch.from_numpy, arrays), strict=True))
        dynamic = self._dynamic(found, inputs) if "boxes" in found else None
        static = StaticPredictions(found["map_logits"]) if "map_logits" in found else None
        after = {name: found[f"next_{name}"] for name in MEMORY if f"next_{name}" in found}
        moved = replace(state, **after, static=self._kept(found, batch, state))
        return SimpleNamespace(dynamic=dynamic, static=static), with_pose(moved, batch)

    def _inputs(self, batch: FrameBatch, state: TemporalState) -> dict[str, Tensor]:
        motion = motion_of(state, batch, self.config.max_gap_s)
        projection = batch.tables.projection
        inputs = {
            "images": batch.images[0],
            "camera_valid": batch.camera_valid[0],
            "points": batch.points,
            "lidar_valid": batch.lidar_valid,
            "now_us": batch.timestamp_us,
            **{f.name: getattr(projection, f.name) for f in fields(projection)},
            **{f.name: getattr(motion, f.name) for f in fields(motion)},
            **{name: getattr(state, name) for name in MEMORY},
        }
        fusion = self.host.bev_static_temporal_fusion
        if fusion is not None:
            past = fusion.find(forget(state.static, motion.reset), batch)
            inputs |= {
                "past_bev": past.bev,
                "past_from_now": past.past_from_now,
                "past_found": past.found,
            }
        return inputs

    def _kept(self, found, batch, state):
        fusion = self.host.bev_static_temporal_fusion
        if fusion is None:
            return None
        motion = motion_of(state, batch, self.config.max_gap_s)
        memory = forget(state.static, motion.reset)
        return push(memory, found["next_bev"], batch, fusion.min_gap_us)

    @staticmethod
    def _dynamic(found: dict[str, Tensor], inputs: dict[str, Tensor]) -> SimpleNamespace:
        memory = SimpleNamespace(
            valid=found["memory_valid"],
            reference_m=found["memory_reference_m"],
            velocity_mps=found["memory_velocity_mps"],
            track_id=torch.where(found["memory_valid"], inputs["track_id"], -1),
            class_id=inputs["class_id"],
            timestamp_us=inputs["timestamp_us"],
            reset=inputs["reset"],
        )
        return SimpleNamespace(
            class_logits=found["class_logits"][None],
            boxes=found["boxes"],
            occlusion_score=found["occlusion_score"][None],
            occlusion_thresholds=found["occlusion_thresholds"],
            memory=memory,
        )

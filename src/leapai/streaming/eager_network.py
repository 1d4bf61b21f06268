"""The network in PyTorch as a session runs it: a frame in, arrays on the host out."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch

from leapai.data.transforms import collate
from leapai.models.dynamic.decode import outputs_of
from leapai.models.perception import Perception
from leapai.models.tensors import MemoryReport, TemporalState
from leapai.types import Detections, Frame, NetworkStep, SlotsRead, ids_of_slots


class EagerNetwork:
    """Runs one stream through a network, on the device of choice."""

    def __init__(self, model: Perception, device: torch.device | str = "cpu") -> None:
        self.model, self.device = model.to(device).eval(), device

    def empty_memory(self) -> TemporalState:
        """Returns the memory before the first frame."""
        return self.model.initial_state(1, self.device)

    # Not inference_mode: what the network caches would be barred from training it afterwards.
    @torch.no_grad()
    def step(self, frame: Frame, memory: TemporalState, *, is_first: bool) -> NetworkStep:
        """Runs one frame, which `fitted` has prepared."""
        batch = self.model.prepared(collate([frame], [is_first]).to(self.device))
        predictions, memory = self.model(batch, memory)
        dynamic, static = predictions.dynamic, predictions.static
        return NetworkStep(
            objects=None if dynamic is None else outputs_of(dynamic, 0),
            slots=None if dynamic is None else slots_read(dynamic.memory, 0),
            map_logits=None if static is None else static.logits[0].float().cpu().numpy(),
            memory=memory,
            predictions=predictions,
        )

    def with_ids(self, memory: TemporalState, detections: Detections) -> TemporalState:
        """Returns the memory whose newest slots carry the ids of the detections."""
        return with_ids(memory, detections, stream=0)


def slots_read(report: MemoryReport, stream: int) -> SlotsRead:
    """Returns the slots that the network has read for a stream."""
    names = [field.name for field in fields(SlotsRead) if field.name != "reset"]
    arrays: dict[str, Any] = {
        name: getattr(report, name)[stream].detach().cpu().numpy() for name in names
    }
    return SlotsRead(**arrays, reset=bool(report.reset[stream]))


def with_ids(state: TemporalState, detections: Detections, stream: int) -> TemporalState:
    """Returns the state whose newest slots of the stream carry the ids of the detections that their
    queries made."""
    newest = (state.timestamp_us[stream] == state.last_timestamp_us[stream]) & state.valid[stream]
    ids = ids_of_slots(
        state.track_id[stream].cpu().numpy(),
        state.query_index[stream].cpu().numpy(),
        newest.cpu().numpy(),
        detections,
    )
    track_id = state.track_id.clone()
    track_id[stream] = torch.from_numpy(ids).to(track_id.device)
    return replace(state, track_id=track_id)

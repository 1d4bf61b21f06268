"""The dynamic head: queries, memory, decoder, branches (docs/design.md, sections 5 and 6).

Letters: L layers, B streams, Q queries, S history slots, C channels, D BEV channels, R x W the BEV
grid.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from leapai.config.schema import TaskConfig
from leapai.geometry import angles
from leapai.models import sampling
from leapai.models.dynamic.branches import CLASS_PRIOR, Branches, OrderedThresholds
from leapai.models.dynamic.decoder import BevRows, StreamTransformerLayer
from leapai.models.dynamic.encoding import CellEncoding, PointEncoding
from leapai.models.dynamic.query_memory import Memory, NewSlots
from leapai.models.dynamic.self_attention import History, QueryPlaces, visible_queries
from leapai.models.dynamic.sensor_confidence import SensorConfidence
from leapai.models.grid_range import GridRange
from leapai.models.tensors import (
    DenoisingQueries,
    DynamicPredictions,
    FrameBatch,
    LayerOutputs,
    MemoryReport,
    TemporalState,
)

MAX_LOG_SIZE = math.log(40.0)


class DynamicHead(nn.Module):
    """BEV features and memory -> predictions and the next memory."""

    def __init__(self, config: TaskConfig) -> None:
        super().__init__()
        dynamic, self.grid, classes = config.dynamic, config.bev.grid(), len(config.vocabulary)
        self.range, self.propagated = GridRange(self.grid), dynamic.propagated
        self.query = nn.Parameter(torch.randn(dynamic.queries, dynamic.embed) * 0.02)
        self.reference = nn.Parameter(torch.logit(torch.rand(dynamic.queries, 3) * 0.98 + 0.01))
        self.point_encoding = PointEncoding(dynamic.embed)
        self.cell_encoding = CellEncoding(self.grid.rows, self.grid.columns, dynamic.neck_channels)
        self.memory = Memory(config, self.grid)
        self.layers = nn.ModuleList(StreamTransformerLayer(dynamic) for _ in range(dynamic.layers))
        self.branches = nn.ModuleList(
            Branches(dynamic, self.grid, classes) for _ in range(dynamic.layers)
        )
        self.thresholds = OrderedThresholds()
        self.confidence = SensorConfidence(dynamic.confidence)
        # What only training uses: denoising queries, and the heat map of object centres.
        self.noisy_query = nn.Embedding(classes + 1, dynamic.embed)
        self.heat_map = nn.Linear(dynamic.neck_channels, classes)
        nn.init.constant_(self.heat_map.bias, math.log(CLASS_PRIOR / (1 - CLASS_PRIOR)))
        self.wants_heat_map = config.loss.heat_map_weight > 0

    def forward(
        self, bev: Tensor, batch: FrameBatch, state: TemporalState
    ) -> tuple[DynamicPredictions, TemporalState]:
        """Detects in the BEV [B, R * W, D] of this frame, by its time and pose and the memory;
        returns the predictions and the next memory."""
        report = self.memory.read(state, batch, self.query.expand(batch.streams, -1, -1))
        query, reference = self._first(report)
        report = replace(report, current_query=query)
        history = History(
            slots=report,
            encoding=self.point_encoding(report.reference_clipped),
            visible=visible_queries(len(self.query), batch.denoising),
        )
        outputs, features = self._decode(
            self._rows(bev), history, (query, reference), batch.denoising
        )
        found, denoising = _split(outputs, len(self.query), batch.denoising)
        predictions = DynamicPredictions(
            **vars(found),
            occlusion_thresholds=self.thresholds(),
            boxes=decode_boxes(found.regression[-1], found.angle_logits[-1]),
            decoder_features=features[:, :, : len(self.query)],
            memory=report,
            denoising=denoising,
            heat_map=self._heat_map(bev) if self.training and self.wants_heat_map else None,
        )
        after = self.memory.push(state, report, self._new_slots(predictions), batch)
        # Attention reads the confidence of slots as it was learnt, so they keep that.
        logits = self.confidence(found.class_logits, batch)
        return replace(predictions, class_logits=logits), after

    def _first(self, report: MemoryReport) -> tuple[Tensor, Tensor]:
        """Returns the queries [B, Q, C] and reference points [B, Q, 3] with which a frame begins.

        The last `propagated` of the learnt ones make room for the most confident slots of the
        newest frame in memory, where there are such inside the range (StreamPETR; Wang et al., ICCV
        2023, section 3.3).
        """
        query, count = report.current_query, self.propagated
        reference = self.reference.sigmoid().expand(len(query), -1, -1)
        if not count or not report.valid.shape[1]:
            return query, reference
        newest = slice(-self.memory.topk, None)
        place, confidence = report.reference_clipped[:, newest], report.confidence[:, newest]
        is_inside = ((place > 0) & (place < 1)).all(-1)
        confidence = torch.where(report.valid[:, newest] & is_inside, confidence, -1.0)
        best, index = confidence.topk(count)  # [B, count]
        goes_on = (best >= 0)[..., None]

        def replaced(learnt: Tensor, kept: Tensor) -> Tensor:
            picked = kept.gather(1, index[..., None].expand(-1, -1, kept.shape[-1]))
            last = torch.where(goes_on, picked, learnt[:, -count:])
            return torch.cat([learnt[:, :-count], last], 1)

        return (
            replaced(query, report.history_query[:, newest]),
            replaced(reference, place.to(reference)),
        )

    def _decode(
        self,
        rows: BevRows,
        history: History,
        first: tuple[Tensor, Tensor],
        denoising: DenoisingQueries | None,
    ) -> tuple[LayerOutputs, Tensor]:
        """Returns outputs of every layer [L, B, Q + D, ...] and its features [L, B, Q + D, C], of
        queries [B, Q, C] that begin at reference points [B, Q, 3] and D denoising queries."""
        query, reference = first
        if denoising is not None:
            query = torch.cat([query, self.noisy_query(denoising.class_id)], 1)
            reference = torch.cat([reference, denoising.reference], 1)
        outputs, features, references = [], [], []
        for layer, branches in zip(self.layers, self.branches, strict=True):
            places = self._places(reference)
            query, readout = layer(query, places, history, rows)
            outputs.append(branches(query, places, readout))
            features.append(query)
            references.append(outputs[-1][1][..., :3].sigmoid())
            # Each layer refines what the one before it found, without a gradient through it
            # (Deformable DETR).
            reference = references[-1].detach()
        logits, regression, angle, occlusion = (torch.stack(o) for o in zip(*outputs, strict=True))
        layers = LayerOutputs(logits, regression, angle, occlusion, torch.stack(references))
        return layers, torch.stack(features)

    def _places(self, reference: Tensor) -> QueryPlaces:
        """Returns reference points [B, Q, 3] in all forms."""
        return QueryPlaces(
            reference, self.range.denormalise(reference), self.point_encoding(reference)
        )

    def _heat_map(self, bev: Tensor) -> Tensor:
        """Maps BEV features [B, R * W, D] -> logits [B, classes, R, W]."""
        size = (self.grid.rows, self.grid.columns)
        logits: Tensor = self.heat_map(bev.float()).transpose(1, 2).unflatten(2, size)
        return logits

    def _rows(self, bev: Tensor) -> BevRows:
        """Returns BEV with the encoding of its cells, padded for sampling."""
        size = (self.grid.rows, self.grid.columns)
        encoded = (bev.float() + self.cell_encoding()).unflatten(1, size).permute(0, 3, 1, 2)
        return BevRows(sampling.to_rows(encoded), size)

    def _new_slots(self, predictions: DynamicPredictions) -> NewSlots:
        """Returns the selected queries of the last layer, as they enter memory."""
        probability, class_id = predictions.class_logits[-1].detach().sigmoid().max(-1)  # [B, Q]
        index = self.memory.select(probability)  # [B, K]

        def pick(values: Tensor) -> Tensor:
            return values.gather(1, index.view(*index.shape, 1).expand(-1, -1, values.shape[-1]))

        return NewSlots(
            query=pick(predictions.decoder_features[-1]),
            reference_m=self.range.denormalise(pick(predictions.reference[-1])),
            velocity_mps=pick(predictions.boxes[..., 8:11]),
            confidence=probability.gather(1, index),
            class_id=class_id.gather(1, index),
            query_index=index,
        )


def _split(
    outputs: LayerOutputs, queries: int, denoising: DenoisingQueries | None
) -> tuple[LayerOutputs, LayerOutputs | None]:
    """Splits outputs [L, B, Q + D, ...] into those of the queries and those of the denoising
    queries."""

    def part(which: slice) -> LayerOutputs:
        return replace(outputs, **{name: t[:, :, which] for name, t in vars(outputs).items()})

    return part(slice(queries)), part(slice(queries, None)) if denoising is not None else None


def decode_boxes(regression: Tensor, angle_logits: Tensor) -> Tensor:
    """Decodes regression [..., 17] and angle bins [..., 8] to boxes [..., 11].

    Centre in [0, 1] of the BEV range, l w h in metres, sin yaw, cos yaw, velocity in m/s
    (docs/design.md, section 6).
    """
    size = regression[..., 3:6].clamp(max=MAX_LOG_SIZE).exp()
    yaw = angles.decode(angle_logits, regression[..., 9:])[..., None]
    return torch.cat(
        [regression[..., :3].sigmoid(), size, yaw.sin(), yaw.cos(), regression[..., 6:9]], -1
    )

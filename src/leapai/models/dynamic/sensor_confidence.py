"""Confidence by the sensors that a frame has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leapai.config.network_sections import ConfidenceConfig
from leapai.models.tensors import FrameBatch

UNCHANGED = (1.0, 0.0)


class SensorConfidence(nn.Module):
    """Logits of the classes -> the same, scaled and shifted by which sensors the frame has.

    A network that was trained on one set of drives is too sure of what it sees by the weaker sensor
    alone. One scale and one shift for all classes keep the order of the detections of a frame, and
    with it their AP as far as confidences stay above `evaluation.min_score` (Platt scaling; Guo et
    al., "On Calibration of Modern Neural Networks", ICML 2017). With both sensors, logits stay as
    they are.
    """

    by_sensors: Tensor

    def __init__(self, config: ConfidenceConfig) -> None:
        super().__init__()
        rows = (UNCHANGED, config.cameras_alone, config.lidar_alone, UNCHANGED)
        self.is_unchanged = all(row == UNCHANGED for row in rows)
        # Part of the configuration, not of the weights. Row: cameras + 2 * LiDAR.
        self.register_buffer("by_sensors", torch.tensor(rows), persistent=False)

    def forward(self, logits: Tensor, batch: FrameBatch) -> Tensor:
        """Returns logits [L, B, Q, classes] of the streams of a batch."""
        if self.is_unchanged:
            return logits
        row = batch.camera_valid.any(1).long() + 2 * batch.lidar_valid.long()  # [B]
        scale, shift = self.by_sensors[row, :, None, None].unbind(1)  # [B, 1, 1]
        return logits * scale + shift

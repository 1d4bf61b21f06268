"""The rays of cameras, kept until a calibration changes."""

from __future__ import annotations

import torch
from torch import Tensor

from leapai.models.camera_rays import ray_depths
from leapai.models.cell_projection import FeatureMaps
from leapai.models.projection import Calibration
from leapai.models.tensors import moved


class RayCaster:
    """Casts the rays of cameras once for each calibration: those of the last call are kept."""

    def __init__(self, heights_m: tuple[float, ...], stride: int) -> None:
        """`stride`: image pixels of a cell of a feature map."""
        self.heights_m, self.stride = heights_m, stride
        self._kept: tuple[object, Tensor] | None = None

    @torch.inference_mode(False)  # what is kept may be trained with afterwards
    def __call__(
        self, calibration: Calibration, size: tuple[int, int], device: torch.device
    ) -> Tensor:
        """Returns `ray_depths` of maps of `size` (H, W) on `device`. Does not wait where the
        calibration is on the CPU."""
        key = size, device, calibration.camera_valid.shape, calibration.fingerprint()
        kept = self._kept  # read once: streams in other threads may replace it meanwhile
        if kept is not None and kept[0] == key:
            return kept[1]
        depths = ray_depths(self.heights_m, calibration.rigs(), FeatureMaps(size, self.stride))
        rays = moved(torch.from_numpy(depths), device)
        self._kept = key, rays
        return rays

"""The frozen trunk of Step 2, on which cached features depend."""

from __future__ import annotations

import hashlib

import torch

from leapai.config.checks import DENSE_HEADS, TRUNK_MODULES
from leapai.config.schema import TaskConfig
from leapai.models.perception import Perception
from leapai.types import DESIGN
from leapai.version import __version__

FORMAT = 2
"""Version of an entry's content; increased when that changes."""


def trunk_modules(config: TaskConfig) -> list[str]:
    """Returns the names of the modules up to the fuser that the configuration builds."""
    return [name for name in config.active_modules() if name in TRUNK_MODULES]


def check_trunk_is_frozen(config: TaskConfig) -> None:
    """Raises ValueError where a module up to the fuser would learn."""
    for name in trunk_modules(config):
        if config.freeze_module_schedules.get(name) != 0:
            raise ValueError(
                f"cache.features_gb = {config.cache.features_gb:g} keeps what a frozen trunk "
                f"computes, but freeze_module_schedules does not freeze {name} at step 0: freeze "
                "it, or set cache.features_gb = 0"
            )


def features_fingerprint(
    model: Perception, config: TaskConfig, version: str | None
) -> dict[str, object]:
    """Returns what the features depend on: weights, data, and how both are read."""
    weights = hashlib.sha256()
    for name in trunk_modules(config):
        for key, tensor in sorted(model.get_submodule(name).state_dict().items()):
            if f"{name}.{key}".startswith(f"{DENSE_HEADS}."):
                continue  # only losses read them
            weights.update(f"{name}.{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
            weights.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    data = [source.data for source in config.data.sources]  # weights change no feature
    fingerprint: dict[str, object] = {
        "weights": weights.hexdigest(),
        "data": data if len(data) > 1 else data[0],
        "version": version,
        "bev": config.bev.model_dump(mode="json"),
        "camera": config.camera.model_dump(mode="json"),
        "lidar": config.lidar.model_dump(mode="json") if config.enable_lidar else None,
        "package": __version__,
        "format": FORMAT,
    }
    if config.vocabulary != DESIGN:
        fingerprint["classes"] = config.vocabulary.names  # of the labels that are kept, too
    return fingerprint

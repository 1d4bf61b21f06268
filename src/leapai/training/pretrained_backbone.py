"""Backbones that begin with the weights of an image classifier, from a file of timm's format.

Only a training that begins without a checkpoint reads the file. Nothing is downloaded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from leapai.checkpoints import LARGEST_WEIGHT, differences, listed
from leapai.config.schema import TaskConfig
from leapai.models.camera import backbones_built

_FIELD = "training.pretrained_backbone"
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Keys under which training programs save weights; averages come first, as in timm."""


def load_pretrained(model: nn.Module, config: TaskConfig) -> str:
    """Gives the backbones of all groups the weights of the file; returns a line for the user.

    Names map as timm maps them: `stages.0.blocks.0` of a classifier is `stages_0.blocks.0` of its
    feature maps. Weights behind the maps, such as the classes, are left out. Raises ValueError
    where there is no such file, it cannot be read, is of another network, or was trained on images
    of another mean and spread than `camera.mean` and `camera.std`.
    """
    path = pretrained_file(config.training.pretrained_backbone)
    weights = _by_plain_name(_read(path), path)
    normalisation = _check_normalisation(path, config)
    count = backbones_built(config.camera)
    for group in range(count):
        net = model.get_submodule(f"stage1_backbone{group}.net")
        _load(net, weights, path, config.camera.backbone)
    loaded = sum(parameter.numel() for parameter in net.parameters())
    return f"{path}: {loaded:,} weights for each of {count} backbones; {normalisation}"


def pretrained_file(name: str) -> Path:
    """Returns the file that is named: a path, or the weights of a model such as
    `timm/resnetv2_34.ra4_e3600_r224_in1k` in the local cache of the Hugging Face hub.

    Raises ValueError where there is neither.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if name.count("/") == 1 and not path.exists():
        cached = _cached(name)
        if cached is not None:
            return cached
    raise ValueError(
        f"{_FIELD} = '{name}': there is no such file, nor a model of this name in the local cache; "
        "name a .safetensors or .pth file of timm, or put the model into the cache first "
        f"(hf download {name if name.count('/') == 1 else 'timm/MODEL'})"
    )


def _cached(model: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for file in ("model.safetensors", "pytorch_model.bin"):
        found = try_to_load_from_cache(model, file)
        if isinstance(found, str):
            return Path(found)
    return None


def _read(path: Path) -> Mapping[str, Any]:
    """Reads a file as tensors alone: nothing in it is run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{_FIELD} = '{path}': cannot be read as tensors alone: {reason}; name a .safetensors "
            "or .pth file of weights"
        ) from error
    while isinstance(content, dict):
        inner = next((content[key] for key in _WRAPPERS if key in content), None)
        if inner is None:
            return content
        content = inner
    raise ValueError(f"{_FIELD} = '{path}': holds no weights by name; is it a file of timm?")


def _by_plain_name(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Returns floating-point weights by names in which _ stands for every dot, because timm writes
    either. Raises ValueError for values that no trained network has."""
    weights = {}
    for name, value in content.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        if not bool((value.abs() <= LARGEST_WEIGHT).all()):  # NaN, too
            raise ValueError(f"{_FIELD} = '{path}': {name} has values that no weights have")
        weights[_plain(str(name).removeprefix("module."))] = value.float()
    return weights


def _plain(name: str) -> str:
    return name.replace(".", "_")


def _load(net: nn.Module, weights: Mapping[str, Tensor], path: Path, backbone: str) -> None:
    """Loads all weights of one backbone. Raises ValueError where one is missing or of another
    shape."""
    ours = {n: v for n, v in net.state_dict().items() if v.is_floating_point()}
    theirs = {name: weights[_plain(name)] for name in ours if _plain(name) in weights}
    problems = differences(theirs, ours)
    if problems:
        raise ValueError(
            f"{_FIELD} = '{path}': is no {backbone} of this size: {listed(problems)}; name weights "
            "of the network that camera.backbone and camera.backbone_args build"
        )
    net.load_state_dict(theirs, strict=False)  # counters of batch norm stay at zero


def _check_normalisation(path: Path, config: TaskConfig) -> str:
    """Compares the mean and the spread of images that `config.json` next to the file reports with
    the configuration's; returns what was compared. Raises ValueError where they differ."""
    camera = config.camera
    found_in = path.parent / "config.json"
    try:
        reported = json.loads(found_in.read_text())["pretrained_cfg"]
        mean, std = (tuple(float(v) for v in reported[name]) for name in ("mean", "std"))
    except (OSError, ValueError, LookupError, TypeError):
        return f"images are normalised by camera.mean = {camera.mean} and camera.std = {camera.std}"
    for name, theirs, ours in (("mean", mean, camera.mean), ("std", std, camera.std)):
        if len(theirs) != 3 or not all(map(_close, theirs, ours)):
            raise ValueError(
                f"{_FIELD} = '{path}': was trained with {name} {theirs} ({found_in}), but "
                f"camera.{name} = {ours}: set camera.{name} = {theirs}, here and in Step 2"
            )
    return "images are normalised as there"


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, abs_tol=1e-3)

"""Two checkpoints of Step 2, one for each task, become one that runs both on a single trunk.

Step 2 freezes all up to the fuser, so what Step 2 Dynamic and Step 2 Static of one Step 1 see is
the same, bit for bit; the merged network then predicts exactly what each of the two predicts alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leapai.checkpoints import header, read_checkpoint, write_checkpoint
from leapai.config.checks import DENSE_HEADS, TRUNK_MODULES
from leapai.config.schema import TaskConfig

SHARED_SETTINGS = ("bev", "camera", "lidar", "enable_lidar", "max_gap_s", "vocabulary")
"""Settings in which both must agree, like in the trunk's weights: how it sees, and when memory is
dropped."""
OF_STATIC = ("static", "enable_static_temporal")
"""Sections that the merged configuration takes from the static one; all others are the dynamic
one's."""


@dataclass(frozen=True)
class _Part:
    """One of the two checkpoints."""

    path: Path
    config: TaskConfig
    weights: Mapping[str, Tensor]
    metrics: Mapping[str, Any]


def merge_checkpoints(dynamic: Path, static: Path, output: Path) -> TaskConfig:
    """Writes the merged checkpoint to `output`; returns its configuration.

    Raises ValueError where a checkpoint cannot be read, lacks its task or has the other's, and
    where the trunks or the settings that both share differ, with the names of what does.
    """
    first, second = _read(dynamic, "dynamic"), _read(static, "static")
    _refuse_other_settings(first, second)
    _refuse_other_trunk(first, second)
    config = merged_config(first.config, second.config)
    content = {
        "state_dict": without_dense_heads({**second.weights, **first.weights}),
        **header(config),
        "figures": {**second.metrics, **first.metrics},
    }
    write_checkpoint(output, content)
    return config


def merged_config(dynamic: TaskConfig, static: TaskConfig) -> TaskConfig:
    """Returns the configuration of the dynamic one with the static task added; its job is named
    after the dynamic one's."""
    values, other = dynamic.model_dump(), static.model_dump()
    values |= {name: other[name] for name in OF_STATIC}
    values["static_task"] = True
    values["job_name"] = f"{dynamic.job_name}_with_map"
    values["task_loss_weights"] |= other["task_loss_weights"]
    values["loss"]["static"] = other["loss"]["static"]
    values["loss"]["dense_weight"] = 0.0
    values["trainable_modules"] += other["trainable_modules"]
    return TaskConfig.model_validate(values)


def without_dense_heads(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights without the heat maps of the trunk, which only losses read."""
    return {
        name: value for name, value in weights.items() if not name.startswith(f"{DENSE_HEADS}.")
    }


def _read(path: Path, task: str) -> _Part:
    checkpoint = read_checkpoint(path)
    config = checkpoint.config
    tasks = {"dynamic": config.dynamic_task, "static": config.static_task}
    on = [name for name, is_on in tasks.items() if is_on]
    if on != [task]:
        raise ValueError(
            f"checkpoint {path} is of the tasks {' and '.join(on)}; {task} alone is needed here: "
            "name Step 2 Dynamic first, then Step 2 Static"
        )
    return _Part(path, config, checkpoint.state_dict, checkpoint.metrics)


def _refuse_other_settings(first: _Part, second: _Part) -> None:
    for name in SHARED_SETTINGS:
        one, other = getattr(first.config, name), getattr(second.config, name)
        if one != other:
            raise ValueError(
                f"{name} is ({one}) in {first.path} and ({other}) in {second.path}; merge two Step "
                "2 trainings of one Step 1 that see the same"
            )


def _refuse_other_trunk(first: _Part, second: _Part) -> None:
    one, other = (_trunk(without_dense_heads(part.weights)) for part in (first, second))
    names = sorted(one.keys() | other.keys())
    differing = [n for n in names if n not in one or n not in other or not _same(one[n], other[n])]
    modules = list(dict.fromkeys(name.partition(".")[0] for name in differing))
    if modules:
        raise ValueError(
            f"{first.path} and {second.path} do not see the same: {', '.join(modules)} differ; "
            "merge two Step 2 trainings that began from one Step 1 with all of its trunk frozen"
        )


def _trunk(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n: value for n, value in weights.items() if n.partition(".")[0] in TRUNK_MODULES}


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)

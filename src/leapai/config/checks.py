"""Checks for contradictions between variables of a configuration, each with its remedy; the names
of modules."""

from __future__ import annotations

import fnmatch
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leapai.config.schema import TaskConfig

CAMERA_MODULES = (
    *(f"stage1_backbone{i}" for i in range(4)),
    *(f"stage1_neck{i}" for i in range(4)),
    "view_transfer",
)
OTHER_GROUPS = tuple(f"stage1_{part}{i}" for part in ("backbone", "neck") for i in range(1, 4))
"""Modules that there are only where groups of cameras do not share a backbone."""
LIDAR_MODULES = ("lidar_vfe", "lidar_middle_encoder", "lidar_bev_backbone")
DYNAMIC_MODULES = ("bev_dynamic_neck", "bev_dynamic_head")
STATIC_MODULES = ("bev_static_neck", "bev_static_head")
STATIC_TEMPORAL_MODULES = ("bev_static_temporal_fusion",)
TRUNK_MODULES = (*CAMERA_MODULES, *LIDAR_MODULES, "fuser")
ALL_MODULES = (*TRUNK_MODULES, *DYNAMIC_MODULES, *STATIC_MODULES, *STATIC_TEMPORAL_MODULES)
"""Names of modules in checkpoints and schedules (docs/design.md, section 4)."""
DENSE_HEADS = "fuser.dense"
"""Heat maps of the trunk, which only losses read: another training may have them or not."""


def check(config: TaskConfig) -> None:
    """Raises ValueError at the first contradiction."""
    _check_tasks(config)
    _check_steps(config)
    _check_memory(config)
    _check_static(config)
    _check_freezing(config)
    _check_learning_rates(config)
    _check_paste(config)


def _check_tasks(config: TaskConfig) -> None:
    for variable in ("occ_task", "attr_task", "enable_occ_temporal"):
        if getattr(config, variable):
            raise ValueError(
                f"{variable} = True: occupancy and attributes are not part of this release; "
                f"set {variable} = False"
            )
    if config.bev.channels % config.camera.heads:
        raise ValueError(
            f"bev.channels = {config.bev.channels} must be divisible by camera.heads = "
            f"{config.camera.heads}"
        )
    for name in ("dynamic", "static"):
        if getattr(config, f"enable_{name}_temporal") and not getattr(config, f"{name}_task"):
            raise ValueError(
                f"enable_{name}_temporal = True, but {name}_task = False: "
                f"set {name}_task = True or enable_{name}_temporal = False"
            )
    if not (config.has_task or config.camera.depth_bins):
        raise ValueError(
            "dynamic_task = False and static_task = False: switch at least one task on, or set "
            "camera.depth_bins to train the cameras on single pixels alone"
        )
    for task in ("dynamic", "static"):
        if getattr(config, f"{task}_task") != (task in config.task_loss_weights):
            raise ValueError(
                f"task_loss_weights = {dict(config.task_loss_weights)} must name exactly the tasks "
                f"that are on, but {task}_task = {getattr(config, f'{task}_task')}"
            )


def _check_steps(config: TaskConfig) -> None:
    if config.max_steps != config.train_steps + config.finetune_steps:
        raise ValueError(
            f"max_steps = {config.max_steps} must be train_steps + finetune_steps = "
            f"{config.train_steps + config.finetune_steps}"
        )


def _check_memory(config: TaskConfig) -> None:
    if config.dynamic.propagated > config.topk_query:
        raise ValueError(
            f"dynamic.propagated = {config.dynamic.propagated} exceeds topk_query = "
            f"{config.topk_query}, the queries that memory keeps of a frame: lower it"
        )
    if config.topk_query > config.dynamic.queries:
        raise ValueError(
            f"topk_query = {config.topk_query} exceeds dynamic.queries = {config.dynamic.queries}: "
            "lower topk_query"
        )
    if config.enable_dynamic_temporal and config.queue_length < 2:
        raise ValueError(
            f"queue_length = {config.queue_length} keeps no history (the current frame counts), "
            "but enable_dynamic_temporal = True: set queue_length to 2 or more"
        )


def _check_static(config: TaskConfig) -> None:
    """Checks that the static task's region can be cut from the BEV and refined by halving cells."""
    if not config.static_task:
        return
    bev, region = config.bev, config.static
    halvings = math.log2(bev.cell_m / region.cell_m)
    if halvings < 1 or abs(halvings - round(halvings)) > 1e-6:
        raise ValueError(
            f"static.cell_m = {region.cell_m}: bev.cell_m = {bev.cell_m} must be 2, 4, 8, ... "
            "times it"
        )
    try:
        bev.grid().part(region.region())
    except ValueError as error:
        raise ValueError(f"static: {error}") from None


def _expand(config: TaskConfig, variable: str) -> set[str]:
    """Returns the modules that match the patterns of `variable`; every pattern must match a module
    of the design."""
    matched: set[str] = set()
    for pattern in getattr(config, variable):
        names = fnmatch.filter(ALL_MODULES, pattern)
        if not names:
            raise ValueError(
                f"{variable}: '{pattern}' matches no module; modules: {', '.join(ALL_MODULES)}"
            )
        matched.update(names)
    return matched


def _check_freezing(config: TaskConfig) -> None:
    schedule = config.freeze_module_schedules
    for module, step in schedule.items():
        if module not in ALL_MODULES:
            raise ValueError(
                f"freeze_module_schedules: no module '{module}'; modules: {', '.join(ALL_MODULES)}"
            )
        if step < 0:
            raise ValueError(
                f"freeze_module_schedules: {module} = {step} must be a step, 0 or later"
            )
    frozen, trainable = _expand(config, "freeze_modules"), _expand(config, "trainable_modules")
    frozen_at_once = {module for module, step in schedule.items() if step == 0}
    for module in ALL_MODULES:
        if module in trainable and module in frozen | frozen_at_once:
            where = "freeze_modules" if module in frozen else "freeze_module_schedules (at step 0)"
            raise ValueError(
                f"trainable_modules names {module}, which {where} freezes: "
                "take it out of one of them"
            )
        if module in frozen and schedule.get(module, math.inf) > 0:
            raise ValueError(
                f"freeze_modules names {module}, but freeze_module_schedules does not freeze it "
                f"at step 0: add '{module}': 0 there or take it out of freeze_modules"
            )
        if config.freeze_modules and module in frozen_at_once - frozen:
            raise ValueError(
                f"freeze_module_schedules freezes {module} at step 0, but freeze_modules does not "
                "name it: add it there"
            )
    absent = trainable - set(config.active_modules())
    if absent:
        raise ValueError(
            f"trainable_modules names {min(absent)}, which this configuration does not build: "
            "switch its task on or take it out"
        )


def _check_learning_rates(config: TaskConfig) -> None:
    for prefix in config.group_lr_scale:
        if not any(module.startswith(prefix) for module in ALL_MODULES):
            raise ValueError(
                f"group_lr_scale: '{prefix}' begins no module's name; "
                f"modules: {', '.join(ALL_MODULES)}"
            )


def _check_paste(config: TaskConfig) -> None:
    """Checks that every sensor that a loss reads by itself shows the objects that are pasted."""
    objects = config.augmentation.paste.objects
    if not objects:
        return
    contradictions = {
        "enable_lidar = False": not config.enable_lidar,
        f"loss.dense_weight = {config.loss.dense_weight:g}": config.loss.dense_weight > 0,
        f"cache.features_gb = {config.cache.features_gb:g}": config.cache.features_gb > 0,
    }
    for variable, contradicts in contradictions.items():
        if contradicts:
            raise ValueError(
                f"augmentation.paste.objects = {objects} adds objects that the LiDAR alone shows, "
                f"which {variable} does not go with: set augmentation.paste.objects = 0 or change "
                "the other"
            )

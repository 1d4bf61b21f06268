"""The memory that a configuration needs, estimated before anything is built: one that was written
by mistake or by somebody else must not take the machine down."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leapai.config.schema import TaskConfig

MOST_GB = 32.0
"""Largest estimate that is accepted. That of the full-size network is 2.6 GB; ten times as much
is no size that was trained here, and a large GPU still holds it."""
_BYTES = 4
_CAMERAS = 8
_COPIES = 8
"""Maps of one kind that live at the same time: inputs, outputs and those between, of a block."""
_FLOATS_A_PIXEL = 40
"""Floats that a backbone of the size of ResNet-34 holds for each pixel of an image."""
_WEIGHTS_A_BLOCK = 18
"""Weights of a block of two 3 x 3 convolutions, times its channels squared."""


def check_size(config: TaskConfig) -> None:
    """Raises ValueError where a stream of this configuration needs more memory than `MOST_GB`."""
    needs = {name: floats * _BYTES / 1e9 for name, floats in _floats(config).items()}
    total, largest = sum(needs.values()), max(needs, key=lambda name: needs[name])
    if total > MOST_GB:
        raise ValueError(
            f"this configuration needs about {total:.3g} GB for one stream, {needs[largest]:.3g} "
            f"of them for {largest}; at most {MOST_GB:g} are allowed: make these smaller"
        )


def _floats(config: TaskConfig) -> dict[str, int]:
    """Returns estimates of the numbers that a stream holds, by the variables that they grow
    with."""
    height, width = config.camera.image_size_px
    channels, grid = config.bev.channels, config.bev.grid()
    cells = grid.rows * grid.columns
    samples = cells * _CAMERAS * config.camera.heads * config.camera.points
    floats = {
        "camera.image_size_px and bev.channels": (
            _CAMERAS * height * width * (_FLOATS_A_PIXEL + channels // 16)
        ),
        "camera.heads, camera.points and the cells of bev": samples * 3,
        "bev.channels and the cells of bev": cells * channels * _COPIES,
        "bev.channels and camera.bev_blocks": (
            _WEIGHTS_A_BLOCK * channels**2 * config.camera.bev_blocks
        ),
        "camera.image_size_px and camera.depth_bins": (
            _CAMERAS * (height // 8) * (width // 8) * config.camera.depth_bins * _COPIES
        ),
    }
    if config.enable_lidar:
        floats |= _of_lidar(config, cells)
    if config.dynamic_task:
        floats |= _of_dynamic(config, cells)
    if config.static_task:
        floats |= _of_static(config)
    return floats


def _of_lidar(config: TaskConfig, cells: int) -> dict[str, int]:
    lidar = config.lidar
    finer = max(config.bev.cell_m / lidar.pillar_m, 1.0)
    pillars = round(cells * finer * finer)
    widths = (lidar.middle_channels, *lidar.bev_coarser)
    blocks = _WEIGHTS_A_BLOCK * sum(width**2 for width in widths) * lidar.bev_blocks
    return {
        "lidar.max_pillars, max_points_per_pillar and pillar_channels": (
            2 * lidar.max_pillars * lidar.max_points_per_pillar * lidar.pillar_channels
        ),
        "lidar.pillar_m, pillar_channels and middle_channels": (
            2 * pillars * (lidar.pillar_channels + lidar.middle_channels) + blocks
        ),
    }


def _of_dynamic(config: TaskConfig, cells: int) -> dict[str, int]:
    sizes, history = config.dynamic, config.history_slots
    layer = 8 * sizes.embed**2 + 2 * sizes.embed * sizes.ffn
    attention = sizes.heads * sizes.queries * (sizes.queries + history)
    sampled = sizes.queries * sizes.points * sizes.heads * sizes.embed
    blocks = _WEIGHTS_A_BLOCK * sizes.neck_channels**2 * sizes.neck_blocks
    return {
        "dynamic.neck_channels and neck_blocks": cells * sizes.neck_channels * _COPIES + blocks,
        "dynamic.layers, embed and ffn": sizes.layers * layer,
        "dynamic.queries, points, heads, topk_query and queue_length": (
            2 * attention + sampled + (sizes.queries + history) * (sizes.embed + sizes.ffn)
        ),
    }


def _of_static(config: TaskConfig) -> dict[str, int]:
    static, region = config.static, config.static.region()
    fine = region.rows * region.columns
    coarse = round(fine * (static.cell_m / config.bev.cell_m) ** 2)
    blocks = _WEIGHTS_A_BLOCK * static.channels**2 * static.neck_blocks
    return {
        "static.cell_m and static.channels": fine * static.channels * _COPIES // 2 + blocks,
        "static.memory_frames and static.channels": (
            coarse * static.channels * (static.memory_frames + len(static.past_s) + _COPIES)
        ),
    }

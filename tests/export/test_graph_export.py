"""Bounds of the free lengths of a graph hold what a frame can have."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

from leapai.config import LidarConfig
from leapai.data.transforms import stacked
from leapai.export.graph_export import AS_CONFIGURED, AskedLengths, length_bounds
from leapai.models.cell_projection import STRIDE, FeatureMaps, Rigs, projected_cells
from leapai.runtime.manifest import MOST_LENGTH, read_manifest
from leapai.runtime.pillar_grouping import PillarGrouping
from leapai.types import BevGrid
from tests.runtime.exported import CAMERAS, write_export
from tests.scenes import IMAGE_SIZE_PX, make_frame, small_config, static_config


def test_a_full_sweep_and_all_cameras_are_within_the_bounds():
    config = small_config(lidar=LidarConfig(pillar_m=0.8, max_pillars=9, max_points_per_pillar=3))
    bounds = length_bounds(config, sum(CAMERAS), AS_CONFIGURED)
    bev = config.bev
    grid = BevGrid(bev.x_range_m, bev.y_range_m, bev.z_range_m, config.lidar.pillar_m)
    everywhere = np.repeat(grid.cell_centres_m(), 50, 0)
    sweep = np.pad(everywhere.astype(np.float32), ((0, 0), (0, 3)))
    points = PillarGrouping(config.lidar, grid, MOST_LENGTH)(sweep)["points"]
    assert len(points) == 27 == bounds["P"].most
    frame = make_frame(0)
    rigs = Rigs(
        stacked([frame], "intrinsics", (3, 3)),
        stacked([frame], "distortion", (5,)),
        stacked([frame], "ego_from_camera", (4, 4)),
        np.ones((1, len(frame.cameras)), bool),
    )
    maps = FeatureMaps(tuple(side // STRIDE for side in IMAGE_SIZE_PX), STRIDE)
    cells = projected_cells(bev.grid(), config.camera.heights_m, rigs, maps)
    assert 0 < len(cells.pair_cell) <= bounds["M"].most


def test_bounds_that_are_asked_for_stand_in_the_manifest(tmp_path):
    asked = AskedLengths(points=(500, 1500), pairs=(70, 90))
    manifest = read_manifest(write_export(tmp_path, static_config(), asked=asked))
    assert (manifest.lengths["P"].usual, manifest.lengths["P"].most) == (500, 1500)
    assert (manifest.lengths["M"].usual, manifest.lengths["M"].most) == (70, 90)


def test_more_than_any_graph_takes_is_not_promised():
    lidar = LidarConfig(pillar_m=0.8, max_pillars=2_000, max_points_per_pillar=1024)
    config = small_config(lidar=lidar)
    assert length_bounds(config, 7, AS_CONFIGURED)["P"].most == MOST_LENGTH
    assert length_bounds(config, 7, AskedLengths(points=(2, 3)))["P"].most == 3


def test_points_of_a_network_without_lidar_are_refused():
    with pytest.raises(ValueError, match="reads no points: leave --points out"):
        length_bounds(small_config(enable_lidar=False), 7, AskedLengths(points=(2, 3)))

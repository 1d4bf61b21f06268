"""What stands about without a label: in large variety, and never in the way of traffic."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from leapai.geometry import boxes as box_geometry
from leapai.types import CLASS_NAMES
from leapai_world.meshes import Mesh
from leapai_world.places import clutter as clutter_module
from leapai_world.places import parking_scenery, scenery
from leapai_world.places.builders import open_place
from leapai_world.places.clutter import clutter
from leapai_world.places.place import PLACES
from leapai_world.world import World

_MARK = 7.0
"""Reflectivity by which triangles of clutter are found again: that of nothing else."""
CELL_M = 0.25


@pytest.mark.parametrize("depth_m", [0.7, 3.0])
def test_a_thing_stands_on_the_ground_and_keeps_its_depth(depth_m):
    sizes = []
    for seed in range(60):
        low, high = clutter(np.random.default_rng(seed), depth_m).extent()
        assert -0.1 <= low[2] < 0.1
        assert high[1] - low[1] <= depth_m + 1e-6
        assert high[0] - low[0] <= 6.2
        assert 0.15 < high[2] < 7.5
        sizes.append(high - low)
    spread = np.ptp(sizes, axis=0)
    assert spread[0] > 4
    assert spread[2] > 4


def test_the_same_draw_builds_the_same_thing():
    one, again = (clutter(np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.triangles_m, again.triangles_m)


def test_things_reflect_as_their_materials_do():
    """Signs retroreflect; stone, paint, wood and leaves send back .03 to .5 of a pulse."""
    made = [clutter(np.random.default_rng(seed)) for seed in range(200)]
    reflectivity = np.concatenate([each.reflectivity for each in made])
    usual = reflectivity[reflectivity < 1]
    assert ((usual >= 0.03) & (usual <= 0.5)).all()
    signs = [each for each in made if (each.reflectivity == 1).any()]
    assert 2 <= len(signs) <= 30
    assert all((each.backscatter[each.reflectivity == 1] == 1).all() for each in signs)


@pytest.fixture
def marked(monkeypatch):
    """Marks the clutter of all places."""

    def build(rng: np.random.Generator, *depth_m: float) -> Mesh:
        mesh = clutter_module.clutter(rng, *depth_m)
        mesh.reflectivity[:] = _MARK
        return mesh

    for module in (scenery, parking_scenery):
        monkeypatch.setattr(module, "clutter", build)


def points_of(mesh: Mesh) -> np.ndarray:
    """Points [P, 3] on the triangles of the clutter, a few on each."""
    triangles = mesh.triangles_m[mesh.reflectivity == _MARK]
    weights = np.random.default_rng(0).dirichlet(np.ones(3), 6)
    spread = np.einsum("kw,twd->tkd", weights, triangles).reshape(-1, 3)
    return np.concatenate([triangles.reshape(-1, 3), spread])


def drivable(world: World, points_m: np.ndarray) -> np.ndarray:
    """Whether points [P, 2] lie on drivable ground, 0.25 m or more from its edge."""
    low = points_m.min(0) - 1
    size = np.ceil((points_m.max(0) + 1 - low) / CELL_M).astype(int)
    raster = np.zeros(size[::-1], np.uint8)
    for line in world.place.map_lines:
        if line.kind == "Drivable":
            corners = np.round((line.points_m[:, :2] - low) / CELL_M).astype(np.int32)
            cv2.fillPoly(raster, [corners], 1)
    raster = cv2.erode(raster, np.ones((3, 3), np.uint8))
    column, row = ((points_m - low) / CELL_M).astype(int).T
    return raster[row, column] > 0


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize("place", [place for place in PLACES if place != "garage"])
def test_nothing_stands_where_traffic_drives_or_in_the_box_of_an_object(place):
    duration_s, seed = 3.0, 11
    world = World(open_place(place, seed, duration_s), seed, duration_s)
    points = points_of(world.place.scenery(world.poses(0.0)[0][:2, 3]))
    assert len(points) > 1000
    assert not drivable(world, points[:, :2]).any()
    is_person = world.traffic.class_id == CLASS_NAMES.index("person")
    for time_s in (0.0, 1.5, 3.0):
        met = box_geometry.points_inside(points, world.poses(time_s)[1]).any(1)
        assert not met[~is_person].any()
        # Who has crossed a street waits at the line of the houses, where things stand, too.
        assert met.sum() <= 2

"""The parts of the embedded world: bodies that keep apart, boxes that fit."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import Polygon
from shapely.strtree import STRtree

from leapai.data.synthetic import shapes
from leapai.data.synthetic.drive import LABEL_RANGE_M, SyntheticDrive
from leapai.data.synthetic.rig import Rig
from leapai.data.synthetic.street import Street
from leapai.data.synthetic.traffic import (
    EGO_HALF_LENGTH_M,
    EGO_HALF_WIDTH_M,
    EGO_REAR_AXLE_M,
    Traffic,
)
from leapai.geometry import boxes as box_geometry
from leapai.types import CLASS_NAMES


@pytest.fixture(scope="module")
def rig():
    return Rig.seven_cameras((128, 240), 32)


@pytest.mark.parametrize("class_id", range(len(CLASS_NAMES)))
def test_boxes_hold_their_meshes_tightly_and_are_not_boxes(class_id):
    for variant in range(shapes.VARIANTS):
        mesh = shapes.prototypes()[class_id * shapes.VARIANTS + variant]
        low, high = mesh.extent()
        assert np.allclose(low, -0.5)
        assert np.allclose(high, 0.5)
        assert len(mesh) > 12
        volume = np.linalg.det(mesh.triangles_m).sum() / 6
        assert 0.005 < volume < 0.95


@pytest.mark.parametrize("seed", range(6))
def test_nobody_passes_through_anybody(seed):
    duration_s = 6.0
    street = Street(seed, 15 * duration_s)
    traffic = Traffic(street, duration_s)
    for time_s in np.arange(0.0, duration_s, 0.25):
        motion, ego = traffic.motion(time_s), traffic.ego(time_s)
        size = np.concatenate(
            [traffic.size_m, [[2 * EGO_HALF_LENGTH_M, 2 * EGO_HALF_WIDTH_M, 1.5]]]
        )
        heading = np.concatenate([motion.heading_rad, ego.heading_rad])
        tangent = np.array([*Street.tangent(ego.heading_rad[0]), 0.0])
        position = np.concatenate([motion.position_m, ego.position_m + EGO_REAR_AXLE_M * tangent])
        boxes = np.concatenate([position, size, heading[:, None]], 1)
        outlines = [Polygon(p) for p in box_geometry.corners_bev(boxes)]
        first, second = STRtree(outlines).query(outlines, predicate="intersects")
        touching = [(i, j) for i, j in zip(first, second, strict=True) if i < j]
        assert not touching, (time_s, touching)


def test_some_people_cross_the_street():
    crossing = 0
    for seed in range(6):
        traffic = Traffic(Street(seed, 90.0), 6.0)
        crossing += sum(actor.path.crossing_m != 0 for actor in traffic.actors)
    assert crossing >= 6


def test_the_ego_varies_its_speed():
    traffic = Traffic(Street(1, 150.0), 10.0)
    speed = [np.linalg.norm(traffic.ego(t).velocity_mps) for t in np.arange(0, 10, 0.5)]
    assert max(speed) - min(speed) > 1.0
    assert min(speed) > 0


def test_labels_cover_the_bev_range_whether_seen_or_not(rig):
    log = SyntheticDrive(2, 3, 10.0, rig)
    labels = log[1].labels
    assert (labels.visible_fraction == 0).any()
    assert LABEL_RANGE_M == ((-40.0, 62.4), (-44.8, 44.8))

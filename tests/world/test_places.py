"""Places of the embedded world: their actors, their motion, and their maps."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from shapely.geometry import Polygon
from shapely.strtree import STRtree

from leapai.data.log import OpenOptions
from leapai.geometry import angles
from leapai.geometry import boxes as box_geometry
from leapai.types import CLASS_NAMES, DESIGN, LANE_MARKINGS, ROAD_ELEMENTS
from leapai_world import open_logs
from leapai_world.places.builders import open_place
from leapai_world.places.place import PLACES, Place
from leapai_world.traffic.actor_list import EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M
from leapai_world.traffic.motion import EGO_REAR_AXLE_M, Traffic

DURATION_S = 6.0
PERSON, NON_MOTOR = CLASS_NAMES.index("person"), CLASS_NAMES.index("non_motor")
DRIVES = [(name, seed) for name in PLACES for seed in (0, 1, 2)]


@cache
def opened(name: str, seed: int) -> tuple[Place, Traffic]:
    place = open_place(name, seed, DURATION_S)
    return place, Traffic(place.actors, DURATION_S)


def outlines(traffic: Traffic, time_s: float) -> np.ndarray:
    """Returns corners [N + 1, 4, 2] of all actors and of the ego."""
    motion, ego = traffic.motion(time_s), traffic.ego(time_s)
    yaw = ego.heading_rad[0]
    middle = ego.position_m + EGO_REAR_AXLE_M * np.array([np.cos(yaw), np.sin(yaw), 0.0])
    size = np.concatenate([traffic.size_m, [[2 * EGO_HALF_LENGTH_M, 2 * EGO_HALF_WIDTH_M, 1.5]]])
    heading = np.concatenate([motion.heading_rad, ego.heading_rad])
    position = np.concatenate([motion.position_m, middle])
    return box_geometry.corners_bev(np.concatenate([position, size, heading[:, None]], 1))


@pytest.mark.parametrize(("name", "seed"), DRIVES)
def test_nobody_passes_through_anybody(name, seed):
    traffic = opened(name, seed)[1]
    for time_s in np.arange(0.0, DURATION_S, 0.25):
        bodies = [Polygon(corners) for corners in outlines(traffic, time_s)]
        first, second = STRtree(bodies).query(bodies, predicate="intersects")
        touching = [(i, j) for i, j in zip(first, second, strict=True) if i < j]
        assert not touching, (time_s, touching)


@pytest.mark.parametrize(("name", "seed"), DRIVES)
def test_positions_velocities_accelerations_and_headings_agree(name, seed):
    traffic, step = opened(name, seed)[1], 1e-3
    for motion in (traffic.motion, traffic.ego):
        for time_s in np.arange(0.2, DURATION_S, 0.83):
            before, now, after = (motion(time_s + k * step) for k in (-1, 0, 1))
            velocity = (after.position_m - before.position_m) / (2 * step)
            acceleration = (after.velocity_mps - before.velocity_mps) / (2 * step)
            assert np.allclose(velocity, now.velocity_mps, atol=1e-3)
            off = np.abs(acceleration - now.acceleration_mps2)
            # Between two knots of a reversing leg and what follows, the change is not smooth.
            assert np.quantile(off, 0.99) < 1e-2
            speed = np.linalg.norm(now.velocity_mps[:, :2], axis=1)
            course = np.arctan2(now.velocity_mps[:, 1], now.velocity_mps[:, 0])
            turned = np.abs(angles.wrap(course - now.heading_rad))
            assert (np.minimum(turned, np.pi - turned)[speed > 0.2] < 1e-6).all()


@pytest.mark.parametrize(("name", "seed"), DRIVES)
def test_moves_as_bodies_of_their_kind_do(name, seed):
    traffic = opened(name, seed)[1]
    assert not traffic.moves[np.isin(traffic.class_id, DESIGN.still_ids)].any()
    people = traffic.class_id == PERSON
    for time_s in np.arange(0.0, DURATION_S, 0.5):
        motion = traffic.motion(time_s)
        speed = np.linalg.norm(motion.velocity_mps, axis=1)
        assert speed.max() < 18.0
        assert speed[people].max(initial=0.0) < 2.6
        assert np.linalg.norm(motion.acceleration_mps2, axis=1).max() < 10.0


def test_the_same_place_again_has_the_same_motion():
    again = Traffic(open_place("crossing", 1, DURATION_S).actors, DURATION_S)
    first = opened("crossing", 1)[1]
    assert np.array_equal(first.motion(3.3).position_m, again.motion(3.3).position_m)


@pytest.mark.parametrize("name", PLACES)
def test_something_drives_and_somebody_walks(name):
    speeds = {CLASS_NAMES[c]: 0.0 for c in range(len(CLASS_NAMES))}
    for seed in (0, 1, 2):
        traffic = opened(name, seed)[1]
        speed = np.linalg.norm(traffic.motion(3.0).velocity_mps, axis=1)
        for class_name, class_id in zip(CLASS_NAMES, range(len(CLASS_NAMES)), strict=True):
            fastest = speed[traffic.class_id == class_id].max(initial=0.0)
            speeds[class_name] = max(speeds[class_name], fastest)
    assert speeds["car"] > 1.5
    assert speeds["person"] > 0.5
    assert speeds["non_motor"] > 1.5


def turned_by_ego(name: str, seed: int) -> float:
    traffic = opened(name, seed)[1]
    heading = [traffic.ego(t).heading_rad[0] for t in np.arange(0.0, DURATION_S, 0.2)]
    return float(np.ptp(np.unwrap(heading)))


def test_the_ego_turns_at_crossings_and_stops_somewhere():
    assert max(turned_by_ego("crossing", seed) for seed in range(4, 9)) > 1.2
    slowest = min(
        np.linalg.norm(opened(name, seed)[1].ego(t).velocity_mps)
        for name, seed in DRIVES
        for t in np.arange(0.0, DURATION_S, 0.5)
    )
    assert slowest < 0.3


def test_people_cross_streets():
    crossed = 0
    for seed in range(4):
        place, traffic = opened("street", seed)
        kerbs = [line.points_m for line in place.map_lines if line.kind == "Curb"]
        road = Polygon(np.concatenate([kerbs[0], kerbs[1][::-1]])[:, :2])
        people = np.concatenate(
            [traffic.motion(t).position_m[traffic.class_id == PERSON] for t in (1.0, 3.0, 5.0)]
        )
        crossed += sum(
            road.contains(Polygon(p[:2] + np.array([[0, 0], [0.1, 0], [0, 0.1]]))) for p in people
        )
    assert crossed >= 3


def test_all_kinds_of_lines_occur_over_the_seeds():
    kinds = {
        line.kind
        for name, seeds in (*((name, 1) for name in PLACES), ("street", 30))
        for seed in range(seeds)
        for line in open_place(name, seed, 0.1).map_lines
    }
    assert kinds >= {*LANE_MARKINGS, *ROAD_ELEMENTS}


def test_the_ego_reverses_out_of_its_slot_in_the_garage_and_drives_on():
    for seed in (0, 1, 2):
        ahead = []
        for time_s in np.arange(0.0, DURATION_S, 0.1):
            ego = opened("garage", seed)[1].ego(time_s)
            course = np.array([np.cos(ego.heading_rad[0]), np.sin(ego.heading_rad[0])])
            ahead.append(ego.velocity_mps[0, :2] @ course)
        assert min(ahead) < -0.4
        assert max(ahead[-10:]) > 0.4
        assert np.abs(np.diff(ahead)).max() < 1.0


def test_a_place_can_be_asked_for_and_an_unknown_one_is_named():
    log = open_logs("place=garage,seed=1,frames=1,beams=2", OpenOptions((32, 32)))[0]
    assert "Wall" in {line.kind for line in log.vector_map()}
    with pytest.raises(ValueError, match="no place 'moon'; use one of: street, crossing"):
        open_logs("place=moon", OpenOptions((32, 32)))

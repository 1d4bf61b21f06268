"""Bodies of the embedded world: they fill their boxes, differ, and move their legs."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.types import CLASS_NAMES
from leapai_world import meshes
from leapai_world.actors import colours, shapes
from leapai_world.actors.kinds import KINDS, Gait
from leapai_world.places.builders import open_place
from leapai_world.sensors.mesh_library import MeshLibrary
from leapai_world.traffic.motion import Traffic

ALL_KINDS = [(name, kind) for name, kinds in KINDS.items() for kind in kinds]
PERSON = CLASS_NAMES.index("person")


def phases_of(shape: int) -> list[meshes.Mesh]:
    """Every mesh that `posed` can give a shape, over one cycle and at rest."""
    gait = shapes.kind_of(shape).shape
    travelled = np.linspace(0.0, 6.0, 200)
    count = np.full(len(travelled), shape), np.full(len(travelled), 1.7)
    walking = shapes.posed(*count, travelled, np.full(len(travelled), 1.0))
    resting = shapes.posed(*count, travelled, np.zeros(len(travelled)))
    found = sorted({*walking.tolist(), *resting.tolist()})
    assert len(found) == (gait.phases + gait.stands if isinstance(gait, Gait) else 1)
    return [shapes.prototypes()[index] for index in found]


def test_every_class_has_several_kinds_and_all_its_shapes():
    for name in CLASS_NAMES:
        assert len(KINDS[name]) >= 2
        assert sum(kind.variants for kind in KINDS[name]) == shapes.VARIANTS
        assert sum(kind.share for kind in KINDS[name]) == pytest.approx(1.0)


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_bodies_touch_all_sides_of_their_box_and_are_no_boxes(name):
    first = CLASS_NAMES.index(name) * shapes.VARIANTS
    for shape in range(first, first + shapes.VARIANTS):
        bodies = phases_of(shape)
        low, high = (np.array(c) for c in zip(*(body.extent() for body in bodies), strict=True))
        assert np.allclose(shapes.prototypes()[shape].extent()[0], -0.5)
        assert np.allclose(shapes.prototypes()[shape].extent()[1], 0.5)
        assert low.min() > -0.5 - 1e-9
        assert high.max() < 0.5 + 1e-9
        assert np.allclose(low[:, 2], -0.5)
        assert np.allclose(high[:, 2], 0.5)
        for body in bodies:
            assert len(body) > 40
            volume = np.linalg.det(body.triangles_m).sum() / 6
            assert 0.002 < volume < 0.95


def test_whoever_walks_sets_one_leg_before_the_other():
    forward = []
    for body in phases_of(PERSON * shapes.VARIANTS)[:-1]:
        feet = body.triangles_m.reshape(-1, 3)
        feet = feet[feet[:, 2] < -0.32]
        left, right = (feet[sign * feet[:, 1] > 0, 0].mean() for sign in (1, -1))
        forward.append(left - right)
    assert max(forward) > 0.25
    assert min(forward) < -0.25


def test_a_body_at_rest_stands_and_one_without_limbs_keeps_its_shape():
    shape = np.array([0, PERSON * shapes.VARIANTS, PERSON * shapes.VARIANTS])
    height, travelled = np.full(3, 1.7), np.array([3.3, 3.3, 9.1])
    still = shapes.posed(shape, height, travelled, np.zeros(3))
    assert still[0] == 0
    assert still[1] == still[2] != shape[1]
    standing = shapes.prototypes()[still[1]]
    low, high = standing.extent()
    assert high[0] - low[0] < 0.8


def test_posing_repeats_after_one_stride():
    shape, height = np.array([PERSON * shapes.VARIANTS]), np.array([1.6])
    gait = shapes.kind_of(int(shape[0])).shape
    stride = gait.cycle_heights * height
    at = [shapes.posed(shape, height, np.array([d]) + 1e-6, np.array([1.2])) for d in (0.5, 1.0)]
    again = shapes.posed(shape, height, 0.5 + 3 * stride + 1e-6, np.array([1.2]))
    assert at[0] == again
    assert at[0] != at[1]


@pytest.mark.parametrize(("name", "kind"), ALL_KINDS)
def test_sizes_lie_in_their_spread_and_shapes_belong_to_their_kind(name, kind):
    rng = np.random.default_rng(3)
    class_id = CLASS_NAMES.index(name)
    for _ in range(30):
        size, shape = shapes.draw(class_id, rng, kind.name)
        assert shapes.kind_of(shape) is kind
        low, high = np.array(kind.size_m)[:, 2:].T
        assert ((size >= low) & (size <= high)).all()


def test_kinds_come_as_often_as_their_share_says():
    rng = np.random.default_rng(5)
    drawn = [shapes.kind_of(shapes.draw(0, rng)[1]).name for _ in range(2000)]
    for kind in KINDS["car"]:
        assert abs(drawn.count(kind.name) / 2000 - kind.share) < 0.05
    booms = [shapes.kind_of(shapes.draw(6, rng)[1]).name for _ in range(200)]
    assert "boom" not in booms


def test_vehicles_have_windows_and_colours_of_their_own():
    for name in ("car", "truck", "bus"):
        for kind_shape in range(shapes.VARIANTS):
            body = shapes.prototypes()[CLASS_NAMES.index(name) * shapes.VARIANTS + kind_shape]
            assert (body.texture == meshes.GLASS).sum() >= 8
            assert (body.paint > 0).sum() >= 8


def test_a_tube_points_outward_whatever_its_direction():
    rng = np.random.default_rng(1)
    material = meshes.Material((0.5, 0.5, 0.5))
    for end in (*rng.normal(size=(20, 3)), (0.0, 0.0, -2.0), (0.0, 0.0, 3.0), (1.0, 0.0, 0.0)):
        mesh = meshes.tube((0.0, 0.0, 0.0), end, 0.3, material, 12)
        about = mesh.triangles_m - np.asarray(end) / 2
        away = (mesh.normals() * about.mean(1)).sum(-1)
        assert (away > 0).all()
        expected = 0.5 * 12 * np.sin(2 * np.pi / 12) * 0.09 * np.linalg.norm(end)
        assert np.linalg.det(about).sum() / 6 == pytest.approx(expected)


def test_every_actor_has_colours_of_its_own():
    """Two of one shape differ in paint and agree in tyres; what is not painted stays as built."""
    library = MeshLibrary(shapes.prototypes()[:1])
    body = shapes.prototypes()[0]
    triangle = np.arange(len(body), dtype=np.int32)
    owners = [colours.own_colours(np.random.default_rng(seed)) for seed in (1, 2)]
    first, second = (library.colours(triangle, np.stack([o] * len(body))) for o in owners)
    painted = body.paint > 0
    assert (first[painted] != second[painted]).any(1).all()
    assert np.allclose(first[painted], owners[0][0])
    assert np.array_equal(first[~painted], body.colour[~painted])


def test_own_colours_belong_to_the_actor_of_the_seed():
    colours, again = (Traffic(open_place("street", 1, 3.0).actors, 3.0).own_colours for _ in "ab")
    assert np.array_equal(colours, again)
    assert len(np.unique(colours.reshape(len(colours), -1), axis=0)) == len(colours)

"""Pairing against a search of every possibility."""

import itertools
import math

import pytest
import torch

from leapai.config.training import LossConfig
from leapai.models.tensors import DenoisingQueries
from leapai.training.query_matching import class_costs, known, match, pairing_costs
from leapai.training.targets import Targets
from leapai.types import BevGrid
from tests.training.examples import LAYERS, random_outputs, random_targets

GRID, LOSS = BevGrid(), LossConfig()


def centres(outputs):
    return GRID.denormalise(outputs.regression[..., :3].sigmoid())


def matched(outputs, streams):
    counts = [len(stream) for stream in streams]
    return match(outputs, centres(outputs), Targets.joined(streams), counts, LOSS)


def cost_twin(outputs, layer, stream, query, targets, target):
    """Cost of one pair in plain numbers."""
    k, box = int(targets.class_id[target]), targets.boxes[target].tolist()
    p = 1 / (1 + math.exp(-float(outputs.class_logits[layer, stream, query, k].detach())))
    classes = -0.25 * (1 - p) ** 2 * math.log(p) + 0.75 * p**2 * math.log(1 - p)
    centre = centres(outputs)[layer, stream, query].tolist()
    size = outputs.regression[layer, stream, query, 3:6].tolist()
    distance = sum(abs(a - b) for a, b in zip(centre, box[:3], strict=True))
    distance += sum(abs(a - math.log(b)) for a, b in zip(size, box[3:6], strict=True))
    return 2.0 * classes + 0.25 * distance


def test_costs_are_the_formula():
    streams = [random_targets(2, 1), random_targets(3, 2)]
    outputs = random_outputs(2)
    costs = pairing_costs(outputs, centres(outputs), Targets.joined(streams), [2, 3], LOSS)
    assert costs.shape == (LAYERS, 2, 6, 3)
    for layer, stream, query in itertools.product(range(LAYERS), range(2), range(6)):
        for target in range(len(streams[stream])):
            twin = cost_twin(outputs, layer, stream, query, streams[stream], target)
            assert float(costs[layer, stream, query, target]) == pytest.approx(twin, rel=1e-4)


@pytest.mark.parametrize("counts", [(3, 1), (0, 3), (6, 2)])
def test_pairs_are_the_cheapest_of_all_possible(counts):
    streams = [random_targets(n, seed) for seed, n in enumerate(counts)]
    outputs = random_outputs(2, queries=6)
    costs = pairing_costs(outputs, centres(outputs), Targets.joined(streams), counts, LOSS)
    expected = set()
    for layer, stream in itertools.product(range(LAYERS), range(2)):
        table, count = costs[layer, stream].tolist(), counts[stream]
        best = min(
            itertools.permutations(range(6), count),
            key=lambda queries: sum(table[q][t] for t, q in enumerate(queries)),
        )
        start = sum(counts[:stream])
        expected |= {(layer, stream, q, start + t) for t, q in enumerate(best)}
    pairs = matched(outputs, streams)
    got = torch.stack([pairs.layer, pairs.stream, pairs.query, pairs.target], 1).tolist()
    assert {tuple(row) for row in got} == expected
    assert len(got) == len(expected)


def test_more_objects_than_queries_leaves_the_dearest_without():
    pairs = matched(random_outputs(1, queries=4), [random_targets(7)])
    assert len(pairs) == LAYERS * 4
    for layer in range(LAYERS):
        assert len(set(pairs.target[pairs.layer == layer].tolist())) == 4


def test_nothing_to_pair():
    assert len(matched(random_outputs(2), [random_targets(0), random_targets(0)])) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_outputs_that_are_no_numbers_are_paired_last(bad):
    outputs = random_outputs(1)
    with torch.no_grad():
        outputs.regression[:, :, :2] = bad
        outputs.class_logits[:, :, :2] = bad
    pairs = matched(outputs, [random_targets(4)])
    assert len(pairs) == LAYERS * 4
    assert set(pairs.query.tolist()) == {2, 3, 4, 5}
    with torch.no_grad():
        outputs.regression[:] = bad
    assert len(matched(outputs, [random_targets(4)])) == LAYERS * 4


def test_a_likelier_class_costs_less():
    logits = torch.linspace(-5, 5, 11)
    assert class_costs(logits, 0.25, 2.0).diff().max() < 0


def test_pick_takes_what_the_paired_queries_say():
    outputs = random_outputs(2)
    pairs = matched(outputs, [random_targets(2), random_targets(1)])
    picked = pairs.pick(outputs.angle_logits)
    for i in range(len(pairs)):
        where = (int(pairs.layer[i]), int(pairs.stream[i]), int(pairs.query[i]))
        assert torch.equal(picked[i], outputs.angle_logits[where])


def test_denoising_queries_are_paired_with_what_they_were_made_of():
    denoising = DenoisingQueries(
        reference=torch.zeros(2, 4, 3),
        class_id=torch.zeros(2, 4, dtype=torch.long),
        group=torch.tensor([0, 0, 1, 1]),
        target=torch.tensor([[1, -1, 0, -1], [0, -1, 0, -1]]),
        valid=torch.tensor([[True, True, True, True], [True, True, False, False]]),
    )
    pairs = known(denoising, [2, 1], layers=2)
    rows = torch.stack([pairs.layer, pairs.stream, pairs.query, pairs.target], 1).tolist()
    one_layer = [[0, 0, 1], [0, 2, 0], [1, 0, 2]]
    assert rows == [[layer, *row] for layer in range(2) for row in one_layer]

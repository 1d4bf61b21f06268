"""The whole loss against a slow twin, and what costs nothing."""

import math
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from scipy.optimize import linear_sum_assignment

from leapai.config.training import LossConfig
from leapai.geometry import angles
from leapai.models.tensors import DenoisingQueries, LayerOutputs
from leapai.training import losses
from leapai.training.criterion import DynamicCriterion, mean_count
from leapai.training.denoising import make_denoising_queries, noise_seed
from leapai.training.query_matching import pairing_costs
from leapai.training.targets import TargetMaker, Targets
from tests.scenes import make_batch, seeded_model, small_config
from tests.training.examples import (
    LAYERS,
    QUERIES,
    predictions_of,
    random_labels,
    random_outputs,
    random_targets,
)

CONFIG = small_config()
CRITERION = DynamicCriterion(CONFIG)
GRID, LOSS = CRITERION.grid, CRITERION.loss
PARTS = ("class", "box", "angle_bin", "velocity", "occlusion")
SYMMETRIC = (6, 7)


def object_costs(outputs, thresholds, where, targets, t):
    """Parts that one pair pays, written one number after another."""
    predicted, bins = outputs.regression[where], outputs.angle_logits[where]
    box, weight = targets.boxes[t], float(targets.weight[t])
    centre = GRID.denormalise(predicted[:3].sigmoid())
    yaw = float(box[6])
    decoded = float(angles.decode(bins, predicted[9:]).detach())
    if int(targets.class_id[t]) in SYMMETRIC and math.cos(decoded - yaw) < 0:
        yaw += math.pi
    _, wanted, covers = angles.encode(torch.tensor(yaw))
    log_p = bins - bins.exp().sum().log()
    residual = sum(
        torch.atan2(
            (predicted[9 + k] - wanted[k]).sin(), (predicted[9 + k] - wanted[k]).cos()
        ).abs()
        for k in range(8)
        if covers[k]
    )
    distance = (centre - box[:3]).abs().sum() + (predicted[3:6] - box[3:6].log()).abs().sum()
    costs = {
        "box": LOSS.box_weight * weight * (distance + residual),
        "angle_bin": -LOSS.angle_bin_weight * weight * log_p[covers].mean(),
    }
    level = int(targets.occlusion_level[t])
    if targets.velocity_valid[t]:
        factor = LOSS.velocity_weight * LOSS.velocity_by_occlusion[max(level, 0)] * weight
        costs["velocity"] = factor * (predicted[6:9] - targets.velocity_mps[t]).abs().sum()
    if level >= 0:
        score = outputs.occlusion_score[(*where, 0)]
        asked = [
            losses.focal(score - thresholds[k], torch.tensor(float(level > k)), 0.25, 2.0)
            for k in range(3)
        ]
        costs["occlusion"] = LOSS.occlusion_weight * weight * sum(asked)
    return costs


def class_cost(logits, class_id, weight):
    """Of one query: every class is right or wrong."""
    terms = [
        losses.focal(logits[k], torch.tensor(float(k == class_id)), 0.25, 2.0) for k in range(8)
    ]
    return LOSS.class_weight * weight * sum(terms)


def sums_twin(outputs, thresholds, streams, pairing, evaluated):
    """Sums of the parts. `pairing(layer, stream)` -> {query: target}; `evaluated(stream,
    query)`."""
    sums = dict.fromkeys(PARTS, torch.zeros(()))
    for layer in range(LAYERS):
        for stream, targets in enumerate(streams):
            pairs = pairing(layer, stream)
            for query in range(outputs.class_logits.shape[2]):
                where, t = (layer, stream, query), pairs.get(query)
                if evaluated(stream, query):
                    class_id = None if t is None else int(targets.class_id[t])
                    weight = 1.0 if t is None else float(targets.weight[t])
                    cost = class_cost(outputs.class_logits[where], class_id, weight)
                    sums["class"] = sums["class"] + cost
                if t is not None:
                    for name, cost in object_costs(outputs, thresholds, where, targets, t).items():
                        sums[name] = sums[name] + cost
    return sums


def searched(outputs, streams):
    """Pairs of each layer and stream, from the costs of one stream at a time."""
    centre = GRID.denormalise(outputs.regression[..., :3].sigmoid())
    found = {}
    for stream, targets in enumerate(streams):
        part = LayerOutputs(**{k: v[:, stream : stream + 1] for k, v in vars(outputs).items()})
        if len(targets):
            costs = pairing_costs(
                part, centre[:, stream : stream + 1], targets, [len(targets)], LOSS
            )
        for layer in range(LAYERS):
            pairs = linear_sum_assignment(costs[layer, 0]) if len(targets) else ([], [])
            found[layer, stream] = {int(q): int(t) for q, t in zip(*pairs, strict=True)}
    return found


def three_streams():
    """A stream with all labels, one with gaps in them, one that nobody labelled."""
    gaps = random_targets(
        4,
        seed=5,
        velocity_valid=torch.tensor([True, False, True, False]),
        occlusion_level=torch.tensor([-1, 2, -1, -1]),
    )
    return [random_targets(3, seed=1), gaps, replace(random_targets(0), labelled=False)]


def gradients(total, *outputs):
    tensors = [t for o in outputs for name, t in vars(o).items() if name != "reference"]
    return torch.autograd.grad(total, tensors)


def test_the_sum_is_that_of_the_slow_twin_forward_and_backward():
    streams = three_streams()
    outputs, denoised = random_outputs(3), random_outputs(3, 4, seed=9)
    denoising = DenoisingQueries(
        reference=torch.zeros(3, 4, 3),
        class_id=torch.zeros(3, 4, dtype=torch.long),
        group=torch.tensor([0, 0, 1, 1]),
        target=torch.tensor([[1, -1, 0, -1], [3, -1, -1, -1], [-1, -1, -1, -1]]),
        valid=torch.tensor([[True] * 4, [True, True, False, False], [False] * 4]),
    )
    predictions = predictions_of(outputs, denoised)
    parts = CRITERION(predictions, streams, denoising)

    thresholds, found = predictions.occlusion_thresholds, searched(outputs, streams)
    twin = sums_twin(
        outputs, thresholds, streams, lambda *where: found[where], lambda stream, _: stream < 2
    )
    given = [{0: 1, 2: 0}, {0: 3}, {}]
    denoising_twin = sums_twin(
        denoised,
        thresholds,
        streams,
        lambda _, stream: given[stream],
        lambda stream, query: bool(denoising.valid[stream, query]),
    )
    expected = {name: value / 7 for name, value in twin.items()}
    expected |= {f"noisy_{name}": value / 3 for name, value in denoising_twin.items()}
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value.detach(), rtol=1e-4, atol=1e-5, msg=name)
    total = 1.25 * sum(expected.values())
    torch.testing.assert_close(parts["total"], total, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        gradients(parts["total"], outputs, denoised),
        gradients(total, outputs, denoised),
        rtol=1e-3,
        atol=1e-5,
    )
    assert set(parts) == {*expected, "total"}


def test_the_heat_map_is_judged_by_what_is_seen_now():
    streams = [random_targets(3, seen=torch.tensor([True, False, True])), *three_streams()[2:]]
    heat_map = torch.randn(2, 8, GRID.rows, GRID.columns, requires_grad=True)
    parts = CRITERION(predictions_of(random_outputs(2), heat_map=heat_map), streams)
    seen = torch.tensor([0, 2])
    boxes, class_id = streams[0].boxes[seen], streams[0].class_id[seen]
    wanted = losses.centre_map(boxes, class_id, torch.zeros(2, dtype=torch.long), 1, GRID)
    expected = losses.centre_focal(heat_map[:1], wanted).sum() / 2
    torch.testing.assert_close(parts["heat_map"], expected.detach())
    (gradient,) = torch.autograd.grad(parts["total"], heat_map)
    assert gradient[0].any()
    assert not gradient[1].any()  # nobody labelled that stream


def test_fields_without_labels_cost_nothing():
    bare = random_targets(
        5,
        velocity_valid=torch.zeros(5, dtype=torch.bool),
        occlusion_level=torch.full((5,), -1),
        velocity_mps=torch.zeros(5, 3),
    )
    outputs = random_outputs(1)
    predictions = predictions_of(outputs)
    parts = CRITERION(predictions, [bare])
    assert parts["velocity"] == parts["occlusion"] == 0
    parts["total"].backward()
    assert not outputs.regression.grad[..., 6:9].any()
    assert not outputs.occlusion_score.grad.any()
    assert not predictions.occlusion_thresholds.grad.any()
    assert outputs.regression.grad[..., :6].any()


def test_a_batch_that_nobody_labelled_costs_nothing():
    streams = [replace(random_targets(0), labelled=False)] * 2
    denoising = make_denoising_queries(streams, GRID, LOSS, [0, 1])
    outputs, denoised = random_outputs(2), random_outputs(2, denoising.valid.shape[1])
    parts = CRITERION(predictions_of(outputs, denoised), streams, denoising)
    assert parts["total"] == 0
    for gradient in gradients(parts["total"], outputs, denoised):
        assert not gradient.any()


def test_an_empty_street_teaches_that_nothing_is_there():
    outputs = random_outputs(1)
    parts = CRITERION(predictions_of(outputs), [random_targets(0)])
    parts["total"].backward()
    assert (outputs.class_logits.grad > 0).all()
    assert not outputs.regression.grad.any()  # but joined to the graph


@pytest.mark.parametrize("field", ["class_logits", "regression", "angle_logits", "occlusion_score"])
@pytest.mark.parametrize("query", range(QUERIES))
def test_one_output_that_is_no_number_shows_in_the_total(field, query):
    outputs = random_outputs(1)
    with torch.no_grad():
        getattr(outputs, field)[0, 0, query, 0] = math.nan
    total = CRITERION(predictions_of(outputs), [random_targets(2)])["total"]
    assert not total.isfinite()


def test_gt_told_back_costs_almost_nothing():
    """Boxes predicted as they are: a mistake in units or order of fields would show here."""
    targets = random_targets(3)
    outputs = random_outputs(1)
    _, residual, covers = angles.encode(targets.boxes[:, 6])
    with torch.no_grad():
        outputs.class_logits[:] = -20.0
        for query in range(3):
            box = targets.boxes[query]
            outputs.class_logits[:, 0, query, targets.class_id[query]] = 20.0
            outputs.regression[:, 0, query, :3] = torch.logit(GRID.normalise(box[:3]))
            outputs.regression[:, 0, query, 3:6] = box[3:6].log()
            outputs.regression[:, 0, query, 6:9] = targets.velocity_mps[query]
            outputs.regression[:, 0, query, 9:] = residual[query]
            outputs.angle_logits[:, 0, query] = torch.where(covers[query], 20.0, -20.0)
    parts = CRITERION(predictions_of(outputs), [targets])
    for name in ("class", "box", "velocity"):
        assert parts[name] < 1e-3, name


def test_the_tasks_weight_scales_the_total():
    outputs, streams = random_outputs(1), [random_targets(2)]
    doubled = DynamicCriterion(small_config(task_loss_weights={"dynamic": 2.5}))
    one, two = (c(predictions_of(outputs), streams)["total"] for c in (CRITERION, doubled))
    torch.testing.assert_close(2 * one, two)


def test_ranks_that_share_streams_average_to_the_joint_gradient(monkeypatch):
    streams = [random_targets(n, n) for n in (1, 5, 0, 2)]
    outputs = random_outputs(4)
    joint = gradients(CRITERION(predictions_of(outputs), streams)["total"], outputs)
    total_count = torch.tensor([8.0, 0, 0])
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda count: count.copy_(total_count))
    of_rank = []
    for rank in range(2):
        mine = slice(2 * rank, 2 * rank + 2)
        share = LayerOutputs(**{k: v[:, mine] for k, v in vars(outputs).items()})
        total = CRITERION(predictions_of(share), streams[mine])["total"]
        of_rank.append(gradients(total, outputs))
    mean = tuple((one + other) / 2 for one, other in zip(*of_rank, strict=True))
    torch.testing.assert_close(mean, joint)


def test_counts_are_never_zero():
    assert mean_count(torch.tensor([0.0, 3.0])).tolist() == [1.0, 3.0]


def test_counts_are_averaged_over_ranks_and_the_callers_stay(monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)
    monkeypatch.setattr(dist, "all_reduce", lambda count: count.add_(5.0))
    count = torch.tensor([1.0, -5.0])
    assert mean_count(count).tolist() == [1.5, 0.25]  # 6 objects; none, which counts as one
    assert count.tolist() == [1.0, -5.0]


def test_the_head_learns_a_frame_by_heart():
    """From labels to weights: the whole way of a training step, some times over."""
    torch.manual_seed(0)
    config = small_config(loss=LossConfig(denoising_groups=2))
    model, criterion = seeded_model(config).train(), DynamicCriterion(config)
    batch = make_batch(0, (0, 1))
    labelled = [replace(f, labels=random_labels(3, i)) for i, f in enumerate(batch.frames)]
    fused_bev = torch.randn(2, config.bev.channels, GRID.rows, GRID.columns)  # a trunk costs time
    batch = replace(batch, frames=tuple(labelled), fused_bev=fused_bev)
    targets = TargetMaker(config).make(batch)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    totals = []
    for step in range(20):
        seeds = [noise_seed(0, stream, step) for stream in range(2)]
        denoising = make_denoising_queries(targets, GRID, config.loss, seeds)
        predictions, _ = model(replace(batch, denoising=denoising), model.initial_state(2))
        parts = criterion(predictions.dynamic, targets, denoising)
        optimizer.zero_grad()
        parts["total"].backward()
        optimizer.step()
        totals.append(float(parts["total"].detach()))
    assert {"heat_map", "noisy_class", "class"} <= set(parts)
    assert all(math.isfinite(total) for total in totals)
    assert totals[-1] < 0.6 * totals[0]


def test_joined_streams_are_told_apart():
    """Objects of one stream are never paired with queries of another."""
    streams = [random_targets(0), random_targets(2)]
    outputs = random_outputs(2)
    CRITERION(predictions_of(outputs), streams)["total"].backward()
    assert not outputs.regression.grad[:, 0].any()
    assert outputs.regression.grad[:, 1].any()
    assert len(Targets.joined(streams)) == 2


def test_rare_occlusion_levels_count_as_much_as_asked():
    """Objects of one level only: the loss of their occlusion is that of equal weights, times the
    weight of the level; nothing else changes."""
    for level, factor in enumerate((0.5, 2.0, 3.0, 1.5)):
        targets = [random_targets(3, seed=1, occlusion_level=torch.full((3,), level))]
        predictions = predictions_of(random_outputs(1))
        weighted = DynamicCriterion(small_config(loss={"occlusion_by_level": (0.5, 2.0, 3.0, 1.5)}))
        plain, other = CRITERION(predictions, targets), weighted(predictions, targets)
        torch.testing.assert_close(other["occlusion"], factor * plain["occlusion"])
        for name in ("class", "box", "angle_bin", "velocity"):
            assert torch.equal(other[name], plain[name])
    unlabelled = [random_targets(3, seed=1, occlusion_level=torch.full((3,), -1))]
    assert float(weighted(predictions, unlabelled)["occlusion"]) == 0

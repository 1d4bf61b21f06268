"""The network's own outputs: not finite, and far fewer than before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.streaming.eager_network import EagerNetwork
from leapai.streaming.output_health import OutputStatus, output_health, past_frame
from leapai.streaming.session import StreamSession
from leapai.types import Detections, Labels
from tests.scenes import joint_config, make_frame, seeded_model

JOINT = joint_config(evaluation={"min_score": 0.0})


def detections(count, score=0.5):
    boxes = np.tile([10.0, 0, 1, 4, 2, 1.5, 0], (count, 1))
    labels = Labels.unlabelled(boxes, np.zeros(count, int))
    found = Detections.from_labels(replace(make_frame(0), labels=labels))
    return replace(found, score=np.full(count, score))


@pytest.fixture(scope="module")
def outputs():
    """Outputs of a network for a frame in order."""
    network = EagerNetwork(seeded_model(JOINT))
    return network.step(make_frame(0), network.empty_memory(), is_first=True)


@pytest.mark.parametrize(
    ("before", "now", "sensors_ok", "status"),
    [
        ((20, 20, 20), 4, True, OutputStatus.FEWER),
        ((20, 20, 20), 0, True, OutputStatus.FEWER),
        ((20, 20, 20), 5, True, OutputStatus.OK),  # a quarter of them
        ((20, 20, 20), 4, False, OutputStatus.OK),  # the sensors explain it
        ((20, 0, 20, 20), 4, True, OutputStatus.FEWER),  # one odd frame before
        ((20, 20), 0, True, OutputStatus.OK),  # too few frames to tell
        ((7, 7, 7), 0, True, OutputStatus.OK),  # 3.5 objects: chance
        ((), 0, True, OutputStatus.OK),
    ],
)
def test_far_fewer_detections_although_sensors_are_ok(outputs, before, now, sensors_ok, status):
    recent = [past_frame(detections(count)) for count in before]
    health = output_health(outputs, detections(now), recent, sensors_ok=sensors_ok)
    assert health.status is status
    if status is OutputStatus.FEWER:
        assert health.reason.startswith(f"confidences add up to {now / 2:.1f}, to 10.0 in the")


def test_a_network_without_the_dynamic_task_loses_no_detections(outputs):
    recent = [past_frame(detections(20))] * 5
    static = replace(outputs, objects=None, slots=None)
    assert output_health(static, detections(0), recent, sensors_ok=True).status == "ok"


def test_predictions_that_are_not_finite_are_reported_and_spoil_neither_map_nor_memory():
    session, other = (StreamSession(seeded_model(JOINT), JOINT) for _ in range(2))
    for each in (session, other):
        each.step(make_frame(0))
    hook = session.model.fuser.register_forward_hook(lambda *_: _[2] * float("nan"))
    broken = session.step(make_frame(1))
    hook.remove()
    assert broken.health.failing == {}
    assert broken.health.outputs.status is OutputStatus.NOT_FINITE
    assert broken.health.outputs.reason == "class logits, boxes, map logits not finite"
    assert broken.faults == ("network: class logits, boxes, map logits not finite",)
    assert len(broken.detections) == 0
    assert broken.map.probability.max() < 1e-6
    after = session.step(make_frame(2))
    assert after.health.outputs.status is OutputStatus.OK
    assert after.faults == ()
    assert len(after.detections) > 0
    assert np.isfinite(after.detections.boxes).all()
    assert np.isfinite(after.map.probability).all()


def test_detections_that_vanish_show_in_the_health_of_the_step():
    session = StreamSession(seeded_model(JOINT), JOINT)
    bias = session.model.bev_dynamic_head.branches[-1].classes[-1].bias
    with torch.no_grad():
        bias += 8.0
    for i in range(4):
        assert session.step(make_frame(i)).health.outputs.status is OutputStatus.OK
    with torch.no_grad():
        bias -= 20.0
    lost = session.step(make_frame(4))
    with torch.no_grad():
        bias += 20.0
    assert lost.health.outputs.status is OutputStatus.FEWER
    assert "every sensor is ok" in lost.faults[0]
    assert session.step(make_frame(5)).health.outputs.status is OutputStatus.OK

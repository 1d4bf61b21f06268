"""Parts of a step, one after another, are the step: tensors, weights and names."""

from __future__ import annotations

import pytest
import torch

from leapai.export.step_graph import StepGraph, example_inputs
from leapai.export.step_parts import graph_names, part_of
from leapai.export.tensor_meanings import MEANINGS
from tests.scenes import joint_config, seeded_model, small_config, static_config

CAMERAS = (1, 0, 1, 2)
CONFIGS = {
    "both tasks": (joint_config(), ["trunk", "dynamic", "static"]),
    "objects": (small_config(), ["trunk", "dynamic"]),
    "objects without memory": (small_config(enable_dynamic_temporal=False), ["trunk", "dynamic"]),
    "map": (static_config(), ["trunk", "static"]),
    "objects without LiDAR": (small_config(enable_lidar=False), ["trunk", "dynamic"]),
}


def values(name, tensor):
    """Values for an input such that a part that did not get them would give something else."""
    if name in ("valid", "past_found"):
        return torch.ones_like(tensor)
    if name == "reset":
        return torch.zeros_like(tensor)
    if name in ("images", "query", "reference_m", "confidence", "past_bev", "interval_s"):
        random = torch.rand(tensor.shape, generator=torch.Generator().manual_seed(4))
        return (random * (255 if name == "images" else 1)).to(tensor.dtype)
    return tensor


@pytest.mark.parametrize("name", CONFIGS)
def test_parts_one_after_another_give_what_the_step_gives(name):
    config, expected_names = CONFIGS[name]
    model = seeded_model(config).eval()
    inputs = {n: values(n, tensor) for n, tensor in example_inputs(model, CAMERAS).items()}
    names = graph_names(config, "parts")
    assert [*names] == expected_names
    known, given = dict(inputs), set()
    with torch.no_grad():
        expected = StepGraph(model, CAMERAS, tuple(inputs)).outputs(inputs)
        for each in names:
            part = part_of(model, each)
            example = example_inputs(part, CAMERAS)
            given |= example.keys()
            of_part = {key: known[key] for key in example}
            assert all(of_part[key].shape == value.shape for key, value in example.items())
            found = StepGraph(part, CAMERAS, tuple(example)).outputs(of_part)
            assert not found.keys() & known.keys()
            known |= found
    assert given - {"bev"} == inputs.keys()
    assert known.keys() - inputs.keys() - {"bev"} == expected.keys()
    assert known.keys() <= MEANINGS.keys()
    for key, value in expected.items():
        torch.testing.assert_close(known[key], value, rtol=0, atol=0, msg=key)


def test_each_weight_is_in_one_part_and_the_network_stays_whole():
    model = seeded_model(joint_config())
    before = {*model.state_dict()}
    parts = [{*part_of(model, name).state_dict()} for name in ("trunk", "dynamic", "static")]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert set.union(*parts) == before == {*model.state_dict()}

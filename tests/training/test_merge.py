"""Two checkpoints of Step 2 become one that predicts what each of them predicts."""

from __future__ import annotations

import pytest
import torch

from leapai import cli
from leapai.checkpoints import (
    config_of,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    write_checkpoint,
)
from leapai.models.build import build_model
from leapai.training.merge import merge_checkpoints
from tests.scenes import ROAD_ALONE, make_batch, seeded_model, small_config

TRAINABLE = {"trainable_modules": ("bev_dynamic_*",)}
STATIC_TRAINABLE = {"trainable_modules": ("bev_static_*",)}


@pytest.fixture(scope="module")
def parts():
    """Networks and configurations of both Step 2 trainings: the same trunk, heads of their own."""
    dynamic = small_config(job_name="objects", **TRAINABLE)
    static = small_config(job_name="road", **ROAD_ALONE, **STATIC_TRAINABLE)
    one, other = seeded_model(dynamic), seeded_model(static)
    trunk = {n: v for n, v in one.state_dict().items() if not n.startswith("bev_")}
    other.load_state_dict({**other.state_dict(), **trunk})
    return (one, dynamic), (other, static)


@pytest.fixture
def saved(parts, tmp_path):
    paths = tmp_path / "dynamic.ckpt", tmp_path / "static.ckpt"
    for path, (model, config), name in zip(paths, parts, ("mAP", "mIoU"), strict=True):
        save_checkpoint(path, model, config, {name: 0.5})
    return (*paths, tmp_path / "both.ckpt")


def test_the_merged_network_says_bit_for_bit_what_each_says_alone(parts, saved, capsys):
    dynamic, static, output = saved
    assert cli.main(["merge", str(dynamic), str(static), "-o", str(output)]) == 0
    assert str(output) in capsys.readouterr().out
    config = config_of(output)
    merged = build_model(config).eval()
    load_checkpoint(output, merged)
    calls = []
    merged.fuser.register_forward_hook(lambda *_: calls.append(1))
    (one, _), (other, _) = parts
    states = [m.initial_state(1) for m in (merged, one, other)]
    with torch.no_grad():
        for index in range(5):
            batch = make_batch(index)
            predictions, states[0] = merged(batch, states[0])
            objects, states[1] = one(batch, states[1])
            road, states[2] = other(batch, states[2])
            for name in ("class_logits", "boxes", "regression", "occlusion_score"):
                assert torch.equal(
                    getattr(predictions.dynamic, name), getattr(objects.dynamic, name)
                )
            assert torch.equal(predictions.static.logits, road.static.logits)
    assert torch.equal(states[0].query, states[1].query)
    assert torch.equal(states[0].static.bev, states[2].static.bev)
    assert len(calls) == 5, "the trunk runs once a frame"


def test_the_merged_configuration_has_both_tasks(saved):
    config = merge_checkpoints(*saved)
    assert config == config_of(saved[2])
    assert (config.dynamic_task, config.static_task) == (True, True)
    assert (config.enable_dynamic_temporal, config.enable_static_temporal) == (True, True)
    assert config.task_loss_weights == {"dynamic": 1.25, "static": 1.0}
    assert config.trainable_modules == ("bev_dynamic_*", "bev_static_*")
    assert config.job_name == "objects_with_map"
    assert read_checkpoint(saved[2]).metrics == {"mAP": 0.5, "mIoU": 0.5}


def test_trunks_that_differ_are_refused_by_the_names_of_their_modules(parts, saved, tmp_path):
    dynamic, static, output = saved
    content = read_checkpoint(static).content
    content["state_dict"]["fuser.missing"] += 1e-7
    content["state_dict"]["stage1_neck2.smooth.bias"] += 1e-7
    write_checkpoint(static, content)
    with pytest.raises(ValueError, match=r"fuser, stage1_neck2 differ; merge two Step 2 trainings"):
        merge_checkpoints(dynamic, static, output)
    assert not output.exists()


def test_half_precision_is_another_trunk(parts, saved):
    dynamic, static, output = saved
    model, config = parts[0]
    save_checkpoint(dynamic, model, config, half=True)
    with pytest.raises(ValueError, match="differ; merge two"):
        merge_checkpoints(dynamic, static, output)


def test_checkpoints_of_the_wrong_tasks_are_refused(saved):
    dynamic, static, output = saved
    with pytest.raises(ValueError, match=r"static.ckpt is of the tasks static; dynamic alone"):
        merge_checkpoints(static, dynamic, output)
    merge_checkpoints(dynamic, static, output)
    with pytest.raises(ValueError, match=r"both.ckpt is of the tasks dynamic and static"):
        merge_checkpoints(output, static, output)


def test_other_settings_are_refused_by_name(parts, saved):
    dynamic, static, output = saved
    model, config = parts[1]
    save_checkpoint(static, model, config.model_copy(update={"max_gap_s": 1.0}))
    with pytest.raises(ValueError, match=r"max_gap_s is \(2.0\) in .*\(1.0\) in .*static.ckpt"):
        merge_checkpoints(dynamic, static, output)

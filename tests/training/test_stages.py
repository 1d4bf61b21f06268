"""The recipe's stages hand on what they learnt: pixels to Step 1, Step 1 to Step 2, to one file."""

import json

import pytest
import torch

from leapai.checkpoints import (
    config_of,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    write_checkpoint,
)
from leapai.config import TaskConfig
from leapai.config.checks import CAMERA_MODULES, OTHER_GROUPS
from leapai.config.options import TrainingOptions, ValidationOptions
from leapai.models.build import build_model
from leapai.streaming.session import StreamSession
from leapai.training import training_data
from leapai.training.initialise import initialise_from
from leapai.training.merge import merge_checkpoints
from leapai.training.train import run_training
from leapai.validation import run_validation
from tests.scenes import ROAD_ALONE, make_batch, seeded_model, small_config
from tests.training.runs import stub_logs, training_config, weights

CAMERA = {**small_config().camera.model_dump(), "depth_bins": 6}
SHARED = {**CAMERA, "shared": True}
PIXELS = {
    "dynamic_task": False,
    "enable_dynamic_temporal": False,
    "task_loss_weights": {},
    "enable_lidar": False,
    "loss": {"dense_weight": 1.0},
}


def pixels_config(**changes) -> TaskConfig:
    return training_config(**{**PIXELS, "camera": SHARED, **changes})


def test_pixels_are_trained_without_a_task_and_step_1_goes_on_from_them(stubs, console, tmp_path):
    config = pixels_config(finetune_steps=2, max_steps=2, augmentation={"lidar_dropout": 1.0})
    run_training(config, TrainingOptions(tmp_path / "pixels"), console)
    lines = [json.loads(x) for x in (tmp_path / "pixels/train.jsonl").read_text().splitlines()]
    assert {"depth", "pixel_class", "total"} == set(lines[-1]["losses"])
    assert 0 < lines[-1]["losses"]["depth"] < 10

    step_1 = training_config(
        camera=SHARED, loss={"dense_weight": 1.0}, finetune_steps=1, max_steps=1
    )
    checkpoint = tmp_path / "pixels/model.ckpt"
    model = build_model(step_1)
    report = initialise_from(checkpoint, model, step_1)
    assert {"fuser", "lidar_vfe", "bev_dynamic_head"} <= set(report.new)
    assert set(report.loaded) == set(CAMERA_MODULES) - set(OTHER_GROUPS)
    theirs, ours = weights(checkpoint), model.state_dict()
    for name in ("stage1_backbone0.", "stage1_neck0.", "view_transfer.pixels."):
        for key in (key for key in theirs if key.startswith(name)):
            assert torch.equal(theirs[key], ours[key]), key


def test_a_shared_backbone_starts_every_group_that_has_its_own(tmp_path):
    path = tmp_path / "pixels.ckpt"
    config = pixels_config()
    save_checkpoint(path, seeded_model(config), config)
    own = small_config(camera=CAMERA)
    model = build_model(own)
    initialise_from(path, model, own)
    theirs, ours = weights(path), model.state_dict()
    for part in ("backbone", "neck"):
        names = [n for n in theirs if n.startswith(f"stage1_{part}0.")]
        assert names
        for name in names:
            for group in range(4):
                copy = name.replace(f"{part}0.", f"{part}{group}.", 1)
                assert torch.equal(ours[copy], theirs[name]), copy
    still_shared = small_config(camera=SHARED)
    model = build_model(still_shared)
    initialise_from(path, model, still_shared)
    assert not any(name.startswith("stage1_neck2") for name in model.state_dict())
    key = next(name for name in theirs if name.startswith("stage1_neck0."))
    assert torch.equal(model.state_dict()[key], theirs[key])


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.0), (0.0, 1.0)])
def test_dense_heads_may_be_new_or_left_out(tmp_path, before, after):
    path = tmp_path / "one.ckpt"
    one = small_config(loss={"dense_weight": before})
    save_checkpoint(path, seeded_model(one), one)
    two = small_config(loss={"dense_weight": after})
    model = build_model(two)
    report = initialise_from(path, model, two)
    assert ("fuser.dense" in report.left_out) == (before > 0)
    assert ("fuser.dense" in report.new) == (after > 0)
    assert torch.equal(model.fuser.missing, weights(path)["fuser.missing"])


def test_a_part_of_the_fuser_that_inference_reads_must_not_be_missing(tmp_path):
    path, config = tmp_path / "one.ckpt", small_config(loss={"dense_weight": 1.0})
    save_checkpoint(path, seeded_model(config), config)
    content = dict(read_checkpoint(path).content)
    state = {n: v for n, v in content["state_dict"].items() if n != "fuser.missing"}
    write_checkpoint(path, content | {"state_dict": state})
    with pytest.raises(ValueError, match=r"lacks fuser.missing"):
        initialise_from(path, build_model(config), config)


def test_a_checkpoint_with_heads_that_only_losses_read_loads_and_detects_the_same(tmp_path):
    path = tmp_path / "step2.ckpt"
    config = small_config(loss={"dense_weight": 1.0}, camera=CAMERA)
    model, batch = seeded_model(config), make_batch(0)
    save_checkpoint(path, model, config)
    again = build_model(config_of(path)).eval()
    load_checkpoint(path, again)
    with torch.no_grad():
        (one, _), (other, _) = (m(batch, m.initial_state(1)) for m in (model, again))
    assert torch.equal(one.dynamic.boxes, other.dynamic.boxes)
    assert one.auxiliary is other.auxiliary is None


@pytest.mark.parametrize("of", ["both", "dynamic alone", "static alone"])
def test_the_merged_network_has_no_heads_that_only_losses_read(tmp_path, of):
    paths = [tmp_path / f"{name}.ckpt" for name in ("dynamic", "static", "both")]
    dense = [
        {"loss": {"dense_weight": float(of in ("both", f"{t} alone"))}}
        for t in ("dynamic", "static")
    ]
    dynamic = small_config(trainable_modules=("bev_dynamic_*",), **dense[0])
    static = small_config(**ROAD_ALONE, trainable_modules=("bev_static_*",), **dense[1])
    one, other = seeded_model(dynamic), seeded_model(static)
    ours = other.state_dict()
    trunk = {n: v for n, v in one.state_dict().items() if not n.startswith("bev_") and n in ours}
    other.load_state_dict({**ours, **trunk})
    save_checkpoint(paths[0], one, dynamic)
    save_checkpoint(paths[1], other, static)
    config = merge_checkpoints(*paths)
    merged = build_model(config).eval()
    load_checkpoint(paths[2], merged)
    assert not [n for n in merged.state_dict() if n.startswith("fuser.dense")]
    batch = make_batch(0)
    with torch.no_grad():
        found, alone = (m(batch, m.initial_state(1))[0].dynamic for m in (merged, one))
    assert torch.equal(found.boxes, alone.boxes)


def test_weights_without_a_task_are_for_training_alone(tmp_path):
    config = pixels_config()
    with pytest.raises(ValueError, match=r"small has no task on.*beginning for Step 1"):
        StreamSession(seeded_model(config), config)
    with pytest.raises(ValueError, match=r"small has no task on.*nothing to validate"):
        run_validation(config, ValidationOptions(tmp_path, random_weights=True))


def test_a_stage_without_a_task_is_not_validated(console, monkeypatch, tmp_path):
    monkeypatch.setattr(training_data, "open_cached_logs", stub_logs)
    config = pixels_config(finetune_steps=1, max_steps=1)
    run_training(config, TrainingOptions(tmp_path / "pixels"), console)
    assert (tmp_path / "pixels/model.ckpt").is_file()
    assert "validation at step" not in console.file.getvalue()

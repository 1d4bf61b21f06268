"""`--set section.name=value`."""

from __future__ import annotations

import json
import re

import pytest

from leapai import cli
from leapai.checkpoints import config_of
from leapai.config import ConfigError, explain, load_config, with_settings
from leapai.weights import shipped_checkpoint
from tests.scenes import joint_config, small_config

SMALL_DRIVE = "synthetic:seed=3,frames=2,beams=4"


@pytest.mark.parametrize(
    ("setting", "section", "name", "value"),
    [
        ("evaluation.min_score=0.2", "evaluation", "min_score", 0.2),
        ("training.seed=3", "training", "seed", 3),
        ("data.val=synthetic:split=val,drives=2", "data", "val", "synthetic:split=val,drives=2"),
        ("data.val='nuscenes:/data'", "data", "val", "nuscenes:/data"),
        ("evaluation.distance_bands_m=(0, 5)", "evaluation", "distance_bands_m", (0.0, 5.0)),
        ("optimizer.decay = 0.5", "optimizer", "decay", 0.5),
        ("draw_dynamic_cfg.draw_velo=False", "draw_dynamic_cfg", "draw_velo", False),
    ],
)
def test_a_value_is_a_python_literal_or_else_a_word(setting, section, name, value):
    config = small_config()
    changed = with_settings(config, [setting])
    assert getattr(getattr(changed, section), name) == value
    kept = getattr(config, section).replace(**{name: value})
    assert changed == config.replace(**{section: kept})


def test_names_lead_through_sections_and_into_dictionaries():
    config = joint_config(loss={"distance": {"near": 3.0}})
    changed = with_settings(
        config,
        ["task_loss_weights.static=1.5", "loss.distance.far=0.5", "task_loss_weights.dynamic=2.0"],
    )
    assert changed.task_loss_weights == {"dynamic": 2.0, "static": 1.5}
    assert (changed.loss.distance.near, changed.loss.distance.far) == (3.0, 0.5)


def test_all_settings_are_checked_together_and_the_last_of_a_variable_holds():
    config = small_config()
    changed = with_settings(
        config, ["finetune_steps=20", "max_steps=20", "queue_length=2", "queue_length=5"]
    )
    assert (changed.max_steps, changed.queue_length) == (20, 5)
    with pytest.raises(ConfigError, match="--set: max_steps = 10 must be train_steps"):
        with_settings(config, ["finetune_steps=20"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "evaluation.min_scor=0.2",
            "--set: evaluation.min_scor = 0.2: unknown name; did you mean ",
        ),
        ("evalution.min_score=0.2", "unknown name 'evalution'; did you mean evaluation.min_score?"),
        ("enable_lidar=true", "--set: enable_lidar = 'true': must be a valid boolean"),
        (
            "queue_length.x=1",
            "--set queue_length.x=1: queue_length = 4 is a variable, which has no",
        ),
        ("evaluation.min_score", "--set evaluation.min_score: must be SECTION.NAME=VALUE"),
        ("=3", "--set =3: must be SECTION.NAME=VALUE"),
        ("evaluation.min_score=2", "--set: evaluation.min_score = 2: must be less than or equal"),
        ("queue_length=1", "--set: queue_length = 1 keeps no history"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_option(setting, message):
    with pytest.raises(ConfigError) as caught:
        with_settings(small_config(), [setting])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(explain(small_config()))
    return str(path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("evaluation=3", "evaluation is a section, not a variable; name one of its variables, for"),
        ("loss.distance=near", "loss.distance is a section, not a variable"),
        (
            "evaluation.min_score.x=3",
            "evaluation.min_score = 0.05 is a variable, which has no parts; "
            "set it by --set evaluation.min_score=3",
        ),
        ("task_loss_weights.dynamic.x=3", "task_loss_weights.dynamic = 1.25 is a variable"),
    ],
)
def test_a_name_that_ends_too_early_or_too_late_is_explained(setting, message):
    with pytest.raises(ConfigError, match=re.escape(f"--set {setting}: {message}")):
        with_settings(small_config(), [setting])


def test_config_prints_what_was_set(small, tmp_path, capsys):
    options = ["--set", "evaluation.min_score=0.2", "--set", "job_name=mine"]
    assert cli.main(["config", "--task-config", small, *options]) == 0
    path = tmp_path / "printed.py"
    path.write_text(capsys.readouterr().out)
    base = load_config(small)
    assert load_config(path) == base.replace(evaluation={"min_score": 0.2}, job_name="mine")


def test_val_runs_with_what_was_set(small, tmp_path):
    output = tmp_path / "run"
    options = ["--random-weights", "--data", SMALL_DRIVE, "--max-frames", "1"]
    options += ["--set", "evaluation.nms_iou=0.4", "--output", str(output)]
    assert cli.main(["val", "--task-config", small, *options]) == 0
    assert json.loads((output / "config.json").read_text())["evaluation"]["nms_iou"] == 0.4


def test_val_without_a_configuration_changes_that_of_the_checkpoint(tmp_path, capsys):
    checkpoint, output = shipped_checkpoint(), tmp_path / "run"
    options = ["--data", SMALL_DRIVE, "--max-frames", "1", "--output", str(output)]
    options += ["--set", "eval_with_visualize=False", "--ckpt", str(checkpoint)]
    assert cli.main(["val", "--set", "evaluation.min_score=0.2", *options]) == 0
    written = json.loads((output / "config.json").read_text())
    expected = config_of(checkpoint).replace(
        evaluation={"min_score": 0.2}, eval_with_visualize=False
    )
    assert written == expected.model_dump(mode="json")
    assert cli.main(["val", "--set", "evaluation.min_scor=0.2", *options]) == 2
    assert "did you mean min_score?" in capsys.readouterr().err


def test_demo_takes_settings_too(tmp_path, capsys):
    options = ["--data", SMALL_DRIVE, "--output", str(tmp_path)]
    assert cli.main(["demo", *options, "--set", "evaluation.max_detctions=3"]) == 2
    assert "did you mean max_detections?" in capsys.readouterr().err

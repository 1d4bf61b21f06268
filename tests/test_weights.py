"""The checkpoint that ships: small, whole, and of the configurations that ship beside it."""

from pathlib import Path

import pytest

from leapai import weights
from leapai.checkpoints import config_of, load_checkpoint, read_checkpoint
from leapai.config import load_config
from leapai.models.build import build_model
from leapai.weights import shipped_checkpoint

MOST_BYTES = 30_000_000
CONFIGS = Path(__file__).resolve().parents[1] / "projects" / "perception" / "configs"


def test_it_is_small_and_says_what_it_reached():
    path = shipped_checkpoint()
    assert path.stat().st_size < MOST_BYTES
    assert read_checkpoint(path).metrics


def test_it_is_both_second_steps_on_one_trunk():
    theirs = config_of(shipped_checkpoint())
    load_checkpoint(shipped_checkpoint(), build_model(theirs))
    parts = {
        "dynamic": ("bev", "camera", "lidar", "dynamic", "topk_query", "queue_length"),
        "static": ("bev", "camera", "lidar", "static"),
    }
    for task, sections in parts.items():
        config = load_config(CONFIGS / f"tiny_step2_{task}.py")
        assert getattr(theirs, f"{task}_task")
        assert getattr(theirs, f"enable_{task}_temporal")
        config = config.replace(dynamic={"confidence": theirs.dynamic.confidence})  # of weights
        for section in sections:
            assert getattr(theirs, section) == getattr(config, section)
        assert theirs.job_name == "tiny_step2_dynamic_with_map"
        assert theirs.cache == config.cache, "the folder of the machine that trained it"


def test_a_copy_without_weights_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=r"no trained weights.*docs/training.md"):
        shipped_checkpoint()

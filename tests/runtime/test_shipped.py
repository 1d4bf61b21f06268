"""The checkpoint that ships: small, whole, and of the configuration that ships beside it."""

from pathlib import Path

import pytest

from leapai.config import load_config
from leapai.models.build import build_model
from leapai.runtime import shipped
from leapai.runtime.checkpoints import config_of, load_checkpoint, read_checkpoint
from leapai.runtime.shipped import shipped_checkpoint

MOST_BYTES = 25_000_000
CONFIGS = Path(__file__).resolve().parents[2] / "projects" / "perception" / "configs"


def test_it_is_small_and_says_what_it_reached():
    path = shipped_checkpoint()
    assert path.stat().st_size < MOST_BYTES
    assert read_checkpoint(path)["figures"]


def test_it_fits_the_network_of_the_demo():
    config = load_config(CONFIGS / "tiny_step2_dynamic.py")
    load_checkpoint(shipped_checkpoint(), build_model(config))
    theirs = config_of(shipped_checkpoint())
    for section in ("bev", "camera", "lidar", "dynamic", "topk_query", "queue_length"):
        assert getattr(theirs, section) == getattr(config, section)


def test_a_copy_without_weights_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=r"no trained weights.*docs/training.md"):
        shipped_checkpoint()

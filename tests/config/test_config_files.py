"""Configurations by name: those that ship, from anywhere, and a user's own that builds on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from leapai.config import ConfigError, load_config
from leapai.config.config_files import existing_config, purpose_of, shipped_configs

CHECKOUT = Path(__file__).resolve().parents[2] / "projects" / "perception" / "configs"


@pytest.mark.parametrize("name", shipped_configs())
def test_a_shipped_configuration_is_the_one_of_the_documented_launch(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(name) == load_config(CHECKOUT / f"{name}.py")
    assert purpose_of(existing_config(name)).endswith(".")


def test_all_of_the_checkout_ship():
    assert {path.stem for path in CHECKOUT.glob("*.py")} == set(shipped_configs())


def test_an_own_file_anywhere_builds_on_a_shipped_one(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from tiny_step2_dynamic import config as base\nconfig = base.replace(job_name='mine')\n"
    )
    (tmp_path / "plain.py").write_text("from tiny_step1 import *\njob_name = 'plain'\n")
    base = load_config("tiny_step2_dynamic")
    assert load_config(tmp_path / "mine.py") == base.replace(job_name="mine")
    assert load_config(tmp_path / "plain.py").topk_query == load_config("tiny_step1").topk_query


def test_an_own_base_of_the_same_name_comes_first(tmp_path):
    (tmp_path / "tiny_step1.py").write_text("topk_query = 7\n")
    (tmp_path / "mine.py").write_text(
        "from tiny_step2_dynamic import *\nfrom tiny_step1 import topk_query\n"
    )
    (tmp_path / "tiny_step2_dynamic.py").write_text(existing_config("tiny_step1").read_text())
    assert load_config(tmp_path / "mine.py").topk_query == 7


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny_step1").write_text("")
    assert existing_config("tiny_step1") == Path("tiny_step1")


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ConfigError, match=r"tiny_step5: .* one of: .*lpperception_.*, tiny_step1, "):
        existing_config("tiny_step5")


def test_an_error_in_a_shipped_base_names_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from tiny_step1 import config as base\nconfig = base.replace(topk_query=-1)\n"
    )
    with pytest.raises(ConfigError, match=r"mine.py:2: topk_query = -1"):
        load_config(tmp_path / "mine.py")

"""The examples of docs/configuration.md work as they are written there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leapai.config import ConfigError, load_config, with_settings
from tests.scenes import small_config

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "configuration.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
WHOLE = [text for text in EXAMPLES if text.startswith('"""')]
VOCABULARIES = [text for text in EXAMPLES if text.startswith("vocabulary = ")]


@pytest.fixture
def example(tmp_path):
    """Loads an example from a folder with the shipped configurations."""
    for path in (ROOT / "projects" / "perception" / "configs").glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text())

    def load(text: str):
        (tmp_path / "mine.py").write_text(text)
        return load_config(tmp_path / "mine.py")

    return load


def test_both_ways_of_writing_a_configuration_give_the_same(example):
    assert len(WHOLE) + len(VOCABULARIES) == len(EXAMPLES)
    typed, plain = (example(text) for text in WHOLE)
    assert typed == plain
    assert (typed.enable_lidar, typed.queue_length, typed.dynamic.layers) == (False, 6, 2)
    assert (typed.evaluation.min_score, typed.dynamic.queries) == (0.2, 160)


def test_vocabularies_that_are_shown_are_valid(example):
    named, listed = (example(f"from tiny_step1 import *\n{text}") for text in VOCABULARIES)
    assert "traffic_cone" in named.vocabulary.names
    assert listed.vocabulary.names == ("car", "person", "cone")
    assert listed.vocabulary.map_classes == ("SolidLine", "DashedLine", "Curb")


def test_settings_that_are_shown_are_valid():
    settings = re.findall(r"--set ([a-z_]+\.[^ `\n]+)", TEXT)
    assert len(settings) >= 4
    config = with_settings(small_config(), settings)
    assert (config.tracking.gate_m, config.data.val) == (1.5, "synthetic:split=val,drives=2")


@pytest.mark.parametrize(
    "line",
    [
        "enable_lidr = True",
        "max_steps = '75000'",
        "static_task = False; enable_static_temporal = True",
        "trainable_modules = ('fuser',)",
    ],
)
def test_messages_that_are_shown_are_those_that_come(example, line):
    with pytest.raises(ConfigError) as caught:
        example("from tiny_step2_dynamic import *\n" + line)
    message = str(caught.value).partition("mine.py: ")[2]
    assert f"error: mine.py: {message}\n" in TEXT

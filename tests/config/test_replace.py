"""A configuration as a typed object: `config = base.replace(...)`."""

from __future__ import annotations

from pathlib import Path

import pytest

from leapai.config import ConfigError, EvaluationConfig, explain, load_config
from tests.scenes import small_config

CONFIGS = Path(__file__).resolve().parents[2] / "projects" / "perception" / "configs"


@pytest.fixture
def written(tmp_path):
    """Writes a configuration next to `base.py`, which is a small one of plain variables."""
    (tmp_path / "base.py").write_text(explain(small_config(evaluation={"nms_iou": 0.35})))

    def write(*lines: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_field_of_a_section_changes_and_the_others_stay(written):
    config = load_config(
        written(
            "from base import config as base",
            "config = base.replace(evaluation=dict(min_score=0.2), job_name='mine')",
        )
    )
    base = small_config(evaluation={"nms_iou": 0.35})
    assert (config.job_name, config.evaluation.min_score) == ("mine", 0.2)
    assert config.evaluation.nms_iou == 0.35
    assert config.replace(job_name="small", evaluation={"min_score": 0.05}) == base


def test_sections_merge_at_any_depth():
    config = small_config(loss={"denoising_groups": 2, "distance": {"near": 3.0}})
    changed = config.replace(loss={"distance": {"far": 0.5}})
    assert changed.loss.denoising_groups == 2
    assert (changed.loss.distance.near, changed.loss.distance.far) == (3.0, 0.5)


def test_a_section_object_and_a_plain_dictionary_replace_the_whole():
    config = small_config(evaluation={"nms_iou": 0.35}, group_lr_scale={"fuser": 0.1})
    replaced = config.replace(evaluation=EvaluationConfig(min_score=0.2))
    assert replaced.evaluation == EvaluationConfig(min_score=0.2)
    assert config.replace(group_lr_scale={"lidar": 0.5}).group_lr_scale == {"lidar": 0.5}
    assert config.evaluation.replace(min_score=0.2).nms_iou == 0.35


def test_a_typed_file_can_be_the_base_of_another_and_of_plain_variables(written, tmp_path):
    written("from base import config as base", "config = base.replace(queue_length=6)")
    child = tmp_path / "child.py"
    child.write_text("from mine import config\nconfig = config.replace(topk_query=4)\n")
    config = load_config(child)
    assert (config.queue_length, config.topk_query) == (6, 4)


@pytest.mark.parametrize("name", ["tiny_step1", "tiny_step2_static"])
def test_shipped_configurations_can_be_bases(name, tmp_path):
    for path in CONFIGS.glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    child = tmp_path / "mine.py"
    child.write_text(
        f"from {name} import config as base\nconfig = base.replace(evaluation=dict(min_score=0.2))"
    )
    base = load_config(CONFIGS / f"{name}.py")
    changed = load_config(child)
    assert changed.evaluation.min_score == 0.2
    assert changed.replace(evaluation={"min_score": base.evaluation.min_score}) == base


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("evaluation=dict(min_scor=0.2)", ["evaluation.min_scor = 0.2", "did you mean min_score?"]),
        ("evalution=dict(min_score=0.2)", ["unknown name", "did you mean evaluation?"]),
        ("loss=dict(distance=dict(nere=1.0))", ["loss.distance.nere", "did you mean near?"]),
        ("evaluation=dict(min_score='0.2')", ["evaluation.min_score = '0.2'", "valid number"]),
        ("evaluation=3", ["evaluation = 3"]),
        ("topk_query=1000", ["topk_query = 1000 exceeds dynamic.queries"]),
    ],
)
def test_a_mistake_in_replace_is_named_with_its_line(written, change, parts):
    path = written("from base import config as base", "", f"config = base.replace({change})")
    message = complaint(path)
    assert message.startswith(f"{path}:3: ")
    for part in parts:
        assert part in message


def test_config_and_variables_in_one_file_contradict_each_other(written):
    base = "from base import config as base"
    message = complaint(written(base, "config = base", "job_name = 'mine'"))
    assert "sets both config and job_name: write config = base.replace(job_name=...)" in message
    star = complaint(written("from base import *", "from base import config"))
    assert "sets both config and job_name" in star
    assert "must be a TaskConfig" in complaint(written("config = {'job_name': 'mine'}"))


def test_what_a_typed_file_uses_to_build_its_configuration_is_its_own(written):
    lines = (
        "import math",
        "from base import config as base",
        "from leapai.config import EvaluationConfig",
        "_score = math.sqrt(0.04)",
        "def scored(score): return EvaluationConfig(min_score=score)",
        "config = base.replace(evaluation=scored(_score))",
    )
    assert load_config(written(*lines)).evaluation.min_score == 0.2


def test_a_base_that_is_wrong_itself_is_named(written, tmp_path):
    (tmp_path / "base.py").write_text(explain(small_config()) + "queue_lenght = 3\n")
    path = written("from base import config as base", "config = base")
    message = complaint(path)
    assert message.startswith(f"{path}:1: {tmp_path / 'base.py'}: queue_lenght = 3: unknown name")

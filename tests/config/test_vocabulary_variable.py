"""The variable `vocabulary`: by name, as a list, and refused with the remedy."""

import pytest

from leapai.config import ConfigError, TaskConfig, explain, load_config
from leapai.types import ARGOVERSE2, DESIGN, NUSCENES
from tests.scenes import small_config

OWN = {"classes": {"car": "MOD", "person": "VRU", "cone": "SOD"}, "on_foot": ["person"]}


def test_a_shipped_one_is_named():
    assert small_config().vocabulary == DESIGN
    assert small_config(vocabulary="nuscenes").vocabulary == NUSCENES
    assert small_config().replace(vocabulary="argoverse2").vocabulary == ARGOVERSE2


def test_an_own_one_is_listed_and_stands_still_where_its_group_does():
    own = small_config(vocabulary=OWN).vocabulary
    assert own.names == ("car", "person", "cone")
    assert (own.still, own.on_foot) == (("cone",), ("person",))
    moving = small_config(vocabulary={**OWN, "still": []}).vocabulary
    assert moving.still == ()


def test_it_survives_a_checkpoint_and_what_is_printed(tmp_path):
    assert "vocabulary = 'nuscenes'" in explain(small_config(vocabulary="nuscenes"))
    config = small_config(vocabulary=OWN)
    assert TaskConfig.model_validate_json(config.model_dump_json()) == config
    file = tmp_path / "printed.py"
    file.write_text(explain(config))
    assert load_config(file) == config


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("kitti", "'kitti' is no vocabulary that ships; name one of design, nuscenes, argoverse2"),
        (3, "must be one of design"),
        ({"names": ["car"]}, "must be one of design"),
        ({"classes": {"car": "CAR"}}, "needs one of the groups MOD, VRU, SOD"),
        ({"classes": {"car": ["MOD"]}}, "needs one of the groups MOD, VRU, SOD"),
        ({"classes": {"c\x1b[2J": "MOD"}}, "must begin with a letter"),
        ({**OWN, "colour": []}, "unknown key 'colour'"),
        ({**OWN, "still": "cone"}, "still = 'cone' must be a list of names"),
        ({**OWN, "map": [3]}, "map = .* must be a list of names"),
    ],
)
def test_what_is_none_is_refused(value, message):
    with pytest.raises(ConfigError, match=message):
        small_config().replace(vocabulary=value)


@pytest.mark.parametrize("data_set", ["nuscenes", "argoverse2"])
def test_recipes_of_a_data_set_agree_in_what_they_share(data_set):
    step1, step2 = (load_config(f"{data_set}_{step}") for step in ("step1", "step2_dynamic"))
    small1, small2 = (
        load_config(f"{data_set}_small_{step}") for step in ("step1", "step2_dynamic")
    )
    for config in (step1, step2, small1, small2, load_config(f"{data_set}_step2_static")):
        assert config.data == step1.data
        assert config.vocabulary.names == step1.vocabulary.names
    for name in ("bev", "camera", "lidar", "dynamic"):
        assert getattr(step1, name) == getattr(step2, name)
        assert getattr(small1, name) == getattr(small2, name)
    assert step1.data.val.endswith("val")
    reach_m = {"nuscenes": 51.2, "argoverse2": 150.0}[data_set]
    assert step1.bev.x_range_m[0] <= -reach_m <= reach_m <= step1.bev.x_range_m[1]

"""Sources of training data with weights, on the command line and in a configuration."""

import pytest

from leapai.config import ConfigError
from leapai.config.data_sources import DataSource, parse_source, parse_sources
from leapai.config.options import TrainingOptions
from leapai.training.adapted_config import adapted
from tests.scenes import small_config


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("nuscenes:/data", DataSource("nuscenes:/data", 1.0)),
        ("nuscenes:/data@3", DataSource("nuscenes:/data", 3.0)),
        ("synthetic:seed=3,frames=2@0.5", DataSource("synthetic:seed=3,frames=2", 0.5)),
        ("nuscenes:/home/me@work/data", DataSource("nuscenes:/home/me@work/data", 1.0)),
        ("nuscenes:/home/me@work/data@2", DataSource("nuscenes:/home/me@work/data", 2.0)),
    ],
)
def test_a_weight_follows_the_last_at(text, source):
    assert parse_source(text) == source


@pytest.mark.parametrize("text", ["synthetic@0", "synthetic@-1", "synthetic@inf", "synthetic@nan"])
def test_a_weight_must_be_positive(text):
    with pytest.raises(ValueError, match="the weight after @ must be a number above 0"):
        parse_source(text)


def test_a_configuration_takes_one_source_or_several():
    one = small_config(data={"train": "synthetic"})
    several = small_config(data={"train": ["synthetic@3", "nuscenes:/data"]})
    assert one.data.sources == (DataSource("synthetic"),)
    assert several.data.sources == parse_sources(["synthetic@3", "nuscenes:/data@1"])
    assert type(several).model_validate_json(several.model_dump_json()) == several
    with pytest.raises(ValueError, match="must be a number above 0"):
        small_config(data={"train": ("synthetic@0",)})
    with pytest.raises(ValueError, match="name at least one data set"):
        small_config(data={"train": ()})


def test_the_command_line_overrides_both_kinds_of_data():
    config = small_config()
    options = TrainingOptions(None, data=("a@2", "b"), val_data="c")
    assert adapted(config, options).data.train == ("a@2", "b")
    assert adapted(config, options).data.val == "c"
    with pytest.raises(ConfigError, match=r"data.train.*'a@0': the weight after @"):
        adapted(config, TrainingOptions(None, data=("a@0",)))

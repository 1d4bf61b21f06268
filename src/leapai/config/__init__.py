"""Task configurations: typed, checked at once, explained.

Names are imported when they are used: the options of the command line need no schema.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leapai.config.load import explain, load_config
    from leapai.config.network_sections import (
        BevConfig,
        CameraConfig,
        DynamicConfig,
        LidarConfig,
        StaticConfig,
    )
    from leapai.config.options import CONFIG_VARIABLE
    from leapai.config.problems import ConfigError
    from leapai.config.schema import BatchSizes, DataConfig, TaskConfig, TemporalOptimization
    from leapai.config.settings import with_settings
    from leapai.config.training import (
        AugmentationConfig,
        CacheConfig,
        DistanceWeights,
        LossConfig,
        MatchingCosts,
        OptimizerConfig,
        StaticLossConfig,
        StreamingConfig,
        TrainingConfig,
    )
    from leapai.config.validation_sections import (
        DrawDynamicConfig,
        DrawStaticConfig,
        EvaluationConfig,
        TemporalVisualizationConfig,
        TrackingConfig,
    )

__all__ = [
    "CONFIG_VARIABLE",
    "AugmentationConfig",
    "BatchSizes",
    "BevConfig",
    "CacheConfig",
    "CameraConfig",
    "ConfigError",
    "DataConfig",
    "DistanceWeights",
    "DrawDynamicConfig",
    "DrawStaticConfig",
    "DynamicConfig",
    "EvaluationConfig",
    "LidarConfig",
    "LossConfig",
    "MatchingCosts",
    "OptimizerConfig",
    "StaticConfig",
    "StaticLossConfig",
    "StreamingConfig",
    "TaskConfig",
    "TemporalOptimization",
    "TemporalVisualizationConfig",
    "TrackingConfig",
    "TrainingConfig",
    "explain",
    "load_config",
    "with_settings",
]
_LIGHT = {"CONFIG_VARIABLE": "options", "ConfigError": "problems"}
_FUNCTIONS = {"explain": "load", "load_config": "load", "with_settings": "settings"}
_SECTIONS = ("schema", "training", "network_sections", "validation_sections")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'leapai.config' has no attribute '{name}'")
    home = _LIGHT.get(name) or _FUNCTIONS.get(name)
    for module in (home,) if home else _SECTIONS:
        found = getattr(import_module(f"leapai.config.{module}"), name, None)
        if found is not None:
            globals()[name] = found
            return found
    raise AttributeError(f"module 'leapai.config' has no attribute '{name}'")

"""Task configurations: typed, checked at once, explained."""

from leapai.config.load import CONFIG_VARIABLE, ConfigError, explain, load_config
from leapai.config.schema import (
    BatchSizes,
    BevConfig,
    CameraConfig,
    DataConfig,
    DistanceWeights,
    DrawDynamicConfig,
    DynamicConfig,
    EvaluationConfig,
    LidarConfig,
    LossConfig,
    OptimizerConfig,
    TaskConfig,
    TemporalOptimization,
    TemporalVisualizationConfig,
    TrackingConfig,
)

__all__ = [
    "CONFIG_VARIABLE",
    "BatchSizes",
    "BevConfig",
    "CameraConfig",
    "ConfigError",
    "DataConfig",
    "DistanceWeights",
    "DrawDynamicConfig",
    "DynamicConfig",
    "EvaluationConfig",
    "LidarConfig",
    "LossConfig",
    "OptimizerConfig",
    "TaskConfig",
    "TemporalOptimization",
    "TemporalVisualizationConfig",
    "TrackingConfig",
    "explain",
    "load_config",
]

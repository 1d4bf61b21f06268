"""Task configurations: typed, checked at once, explained."""

from leapai.config.load import CONFIG_VARIABLE, ConfigError, explain, load_config
from leapai.config.schema import (
    BatchSizes,
    BevConfig,
    CameraConfig,
    DataConfig,
    DrawDynamicConfig,
    DynamicConfig,
    EvaluationConfig,
    LidarConfig,
    TaskConfig,
    TemporalOptimization,
    TemporalVisualizationConfig,
    TrackingConfig,
)
from leapai.config.training import (
    AugmentationConfig,
    CacheConfig,
    DistanceWeights,
    LossConfig,
    MatchingCosts,
    OptimizerConfig,
    StreamingConfig,
    TrainingConfig,
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
    "DynamicConfig",
    "EvaluationConfig",
    "LidarConfig",
    "LossConfig",
    "MatchingCosts",
    "OptimizerConfig",
    "StreamingConfig",
    "TaskConfig",
    "TemporalOptimization",
    "TemporalVisualizationConfig",
    "TrackingConfig",
    "TrainingConfig",
    "explain",
    "load_config",
]

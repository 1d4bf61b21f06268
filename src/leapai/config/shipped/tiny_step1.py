"""Step 1 for a laptop: the stages of the full size with smaller numbers, over a smaller range.

    leapai train tiny_step1

Hardware: a CPU with two cores; 1.1 s a step, about 50 minutes, and 10 more to render the frames.
Score on the validation seeds: mAP 0.672, mean IoU 0.191 of lane markings and 0.243 of road elements
(`docs/results.md`).
"""

from lpperception_current_hpa_step1 import *

job_name = "tiny_step1"

train_steps = 2_600
max_steps = 2_600
batch_sizes = {"train": 8, "val": 1}
freeze_module_schedules = dict.fromkeys(freeze_module_schedules, max_steps)

bev = {"x_range_m": (-22.4, 41.6), "y_range_m": (-22.4, 22.4), "cell_m": 0.8, "channels": 64}
camera = {
    "image_size_px": (128, 240),
    "backbone": "resnetv2_18",
    "backbone_args": {"width_factor": 0.25},
    "heads": 2,
    "points": 4,
}
lidar = {
    "pillar_m": 0.4,
    "max_pillars": 6_000,
    "max_points_per_pillar": 32,
    "pillar_channels": 32,
    "middle_channels": 64,
    "bev_blocks": 2,
}
dynamic = {
    "neck_channels": 64,
    "queries": 160,
    "embed": 64,
    "heads": 4,
    "points": 8,
    "ffn": 192,
}
static = {"x_range_m": (-20.8, 40.0), "channels": 32}
topk_query = 64

# What never moves is three of eight classes: without this it learns last.
loss = {"distance": {"static": 2.5, "static_falloff_m": 40.0}}
augmentation = {"lidar_dropout": 0.1, "cameras_dropout": 0.1}
optimizer = {"learning_rate": 2.4e-3, "warmup_steps": 100}  # 8.5e-4 for one process
cache = {"frames_gb": 12.0}
training = {"workers": 1, "checkpoint_every": 200, "validate_every": 1_000}
data = {
    "train": "synthetic:split=train,drives=120,rate_hz=4",
    "val": "synthetic:split=val,drives=8,rate_hz=4",
}

"""Step 1 for a laptop: the stages of the full size with smaller numbers.

    leapai config --task-config projects/perception/configs/tiny_step1.py

Hardware: a CPU with two cores. Score: not trained yet.
"""

from lpperception_current_hpa_step1 import *

job_name = "tiny_step1"

train_steps = 4_000
max_steps = 4_000
batch_sizes = {"train": 4, "val": 1}
freeze_module_schedules = dict.fromkeys(freeze_module_schedules, max_steps)

bev = {"cell_m": 1.6, "channels": 64}
camera = {
    "image_size_px": (128, 240),
    "backbone": "resnetv2_18",
    "backbone_args": {"width_factor": 0.25},
    "heads": 4,
}
lidar = {
    "pillar_m": 0.4,
    "max_pillars": 6_000,
    "max_points_per_pillar": 32,
    "pillar_channels": 32,
    "middle_channels": 64,
    "bev_blocks": 1,
}
dynamic = {
    "neck_channels": 64,
    "queries": 128,
    "embed": 64,
    "heads": 4,
    "points": 8,
    "ffn": 128,
}
topk_query = 48
data = {
    "train": "synthetic:split=train,drives=16",
    "val": "synthetic:split=val,drives=2",
}

"""Step 1 for a laptop: the stages of the full size with smaller numbers, over a smaller range.

    leapai train tiny_step1 \\
        --ckpt outputs/tiny_pixels/model.ckpt

The cameras begin from `tiny_pixels.py`, and every sensor has losses of its own, so that the network
does not lean on the LiDAR alone; without `--ckpt` all weights begin anew. Hardware: a CPU with two
cores, of which a step takes 1.7 s of one. The weights that ship saw 7 460 such steps in seven runs,
from the weights of the release before: `docs/results.md` has their score. From new weights, these
steps are a plan that was not run to its end yet.
"""

from lpperception_current_hpa_step1 import *

job_name = "tiny_step1"

train_steps = 5_200
max_steps = 5_200
batch_sizes = {"train": 4, "val": 1}
freeze_module_schedules = dict.fromkeys(freeze_module_schedules, max_steps)

bev = {"x_range_m": (-22.4, 41.6), "y_range_m": (-22.4, 22.4), "cell_m": 0.8, "channels": 64}
camera = {
    "image_size_px": (128, 352),
    "backbone": "resnetv2_18",
    "backbone_args": {"width_factor": 0.25},
    "heights_m": (0.0, 0.6, 1.2, 2.0),
    "heads": 2,
    "points": 4,
    "depth_bins": 24,
    "bev_blocks": 2,
    "shared": True,
}
lidar = {
    "pillar_m": 0.4,
    "max_pillars": 10_000,
    "max_points_per_pillar": 32,
    "pillar_channels": 32,
    "middle_channels": 64,
    "bev_blocks": 2,
    "intensity": "ground",
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
memory_interval_s = 0.2

loss = {
    # What never moves is three of eight classes: without this it learns last.
    "distance": {"static": 2.5, "static_falloff_m": 40.0},
    "dense_weight": 1.0,
    # Partly hidden objects are rare: without this they are taken for ones that nothing hides.
    "occlusion_by_level": (0.7, 2.0, 2.0, 1.0),
}
augmentation = {
    "lidar_dropout": 0.4,
    "cameras_dropout": 0.15,
    "height_m": 0.12,
    "lidar": {
        "log_gain": 0.3,
        "log_gamma": 0.25,
        "blind_probability": 0.05,
        "thinning_probability": 0.25,
        "sparse_probability": 0.25,
        "tilt_deg": 0.4,
    },
    "ground": {"relief_m": 0.12, "log_gain": 0.4, "background_darker": 0.8},
}
optimizer = {  # 6.4e-4 for one process
    "learning_rate": 1.8e-3,
    "warmup_steps": 60,
    "schedule": "cosine",
    "cosine_floor": 0.02,
}
cache = {"frames_gb": 60.0}
training = {"workers": 1, "checkpoint_every": 200, "validate_every": 1_000}
# Three of four clips are of rigs that differ from drive to drive.
data = {
    "train": [
        "synthetic:split=train,drives=220,frames=24,rate_hz=4,rig=varied@3",
        "synthetic:split=train,drives=60,frames=24,rate_hz=4@1",
    ],
    "val": "synthetic:split=val,drives=8,rate_hz=4",
}

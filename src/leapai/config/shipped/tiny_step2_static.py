"""Step 2 Static for a laptop.

    leapai train tiny_step2_static \\
        --ckpt outputs/tiny_step1/model.ckpt

Hardware: a CPU with two cores; features are shared with `tiny_step2_dynamic.py`. The
weights that ship average heads of runs of 300 to 600 steps: `docs/results.md` has their score.
"""

from lpperception_current_hpa_step2_static import *
from tiny_step1 import (
    augmentation,
    bev,
    camera,
    data,
    dynamic,
    lidar,
    memory_interval_s,
    static,
    topk_query,
    training,
)
from tiny_step2_dynamic import batch_sizes, cache, optimizer

job_name = "tiny_step2_static"

finetune_steps = 3_000
max_steps = 3_000

loss = {**loss, "dense_weight": 1.0}
# A clip is longer than memory reaches back, so that most frames have all of their past.
streaming = {
    **streaming,
    "clip_frames": 24,
    "frames_without_gradient": 0,
    "gap_probability": 0.1,
    "reset_probability": 0.01,
}

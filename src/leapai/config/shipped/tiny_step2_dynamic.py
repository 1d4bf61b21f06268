"""Step 2 Dynamic for a laptop: the configuration of `leapai demo`.

    leapai train tiny_step2_dynamic \\
        --ckpt outputs/tiny_step1/model.ckpt

or, as a launch of several processes,

    LEAPAI_TASK_CONFIG=projects/perception/configs/tiny_step2_dynamic.py \\
    torchrun --nproc_per_node=1 --master_port=21212 tools/main.py \\
        --config projects/perception/entry.py --state train --ckpt outputs/tiny_step1/model.ckpt

Hardware: a CPU with two cores, of which a step takes 0.7 s of one. The weights that ship
average heads of runs of 900 to 1 800 steps, on features of 80 to 145 drives: `docs/results.md` has
their score.
"""

from lpperception_current_hpa_step2_dynamic import *
from tiny_step1 import (
    augmentation,
    bev,
    cache,
    camera,
    data,
    dynamic,
    lidar,
    loss,
    memory_interval_s,
    static,
    topk_query,
    training,
)

job_name = "tiny_step2_dynamic"

finetune_steps = 6_000
max_steps = 6_000
batch_sizes = {"train": 8, "val": 1}

# The memory is carried from step to step, so that every frame can have its gradient.
streaming = {
    **streaming,
    "clip_frames": 12,
    "frames_without_gradient": 0,
    "gap_probability": 0.25,
    "reset_probability": 0.03,
}
loss = {**loss, "remembered_s": 2.0, "denoising_groups": 1}
optimizer = {  # 5e-4 for one process
    "learning_rate": 1.4e-3,
    "warmup_steps": 100,
    "schedule": "cosine",
    "cosine_floor": 0.02,
}
# Each drive twice: as it is, and turned, mirrored, with sensors lost.
cache = {**cache, "features_gb": 12.0, "feature_variants": 2}

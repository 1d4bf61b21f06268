"""Step 2 Static, full size: the trunk is frozen, the map head learns with memory.

Run:

    LEAPAI_TASK_CONFIG=projects/perception/configs/lpperception_current_hpa_step2_static.py \\
    torchrun --nproc_per_node=1 --master_port=21212 tools/main.py \\
        --config projects/perception/entry.py --state train --ckpt step1.ckpt

Hardware: meant for 8 GPUs, 16 streams each. Score: not trained yet.
"""

from lpperception_current_hpa_step2_dynamic import *

job_name = "lphpa_v3.0_step2_static"

dynamic_task = False
static_task = True
enable_dynamic_temporal = False
enable_static_temporal = True
task_loss_weights = {"static": 1.0}

# Predictions of a place should stay the same from frame to frame.
loss = {**loss, "static": {"steadiness_weight": 8.0}}

# Memory reaches back 3.4 s: a clip of 10 Hz is longer.
streaming = {**streaming, "clip_frames": 48, "gap_probability": 0.1, "reset_probability": 0.005}

"""Step 2 Static on nuScenes, full size: the map head learns with memory, at 2 Hz.

Run:

    LEAPAI_TASK_CONFIG=nuscenes_step2_static torchrun --nproc_per_node=8 tools/main.py \\
        --config projects/perception/entry.py --state train \\
        --ckpt outputs/nuscenes_step1/model.ckpt

Needs the map expansion, a separate download. Hardware and hours expected: those of
`nuscenes_step2_dynamic.py`. Not measured yet: score, hours, memory.
"""

from lpperception_current_hpa_step2_static import *
from nuscenes_step1 import bev, camera, data, evaluation, lidar, training, vocabulary
from nuscenes_step1 import static as _single_frame

job_name = "nuscenes_step2_static"

finetune_steps = 5_300
max_steps = 5_300
# Keyframes are 0.5 s apart, and a scene has 40 of them.
static = {**_single_frame, "past_s": (0.5, 1.5, 3.0), "tolerance_s": 0.2}
streaming = {**streaming, "clip_frames": 20, "max_gap_frames": 1}

"""Step 2 Dynamic on nuScenes, full size: the dynamic head learns with memory, at 2 Hz.

Run, then write the submissions that the official evaluation takes:

    LEAPAI_TASK_CONFIG=nuscenes_step2_dynamic torchrun --nproc_per_node=8 tools/main.py \\
        --config projects/perception/entry.py --state train \\
        --ckpt outputs/nuscenes_step1/model.ckpt
    leapai val --ckpt outputs/nuscenes_step2_dynamic/model.ckpt --format nuscenes

Hardware: meant for 8 GPUs, 16 streams each. Expected, not measured: 0.6 hours. 5 300 steps are 24
epochs, each of two frames, 1.4 million in all; the frozen trunk's 1.1 TFLOP forward dominates, at
an assumed 100 TFLOP/s a GPU. Not measured yet: score, hours, memory.
"""

from lpperception_current_hpa_step2_dynamic import *
from nuscenes_step1 import bev, camera, data, evaluation, lidar, static, training, vocabulary

job_name = "nuscenes_step2_dynamic"

finetune_steps = 5_300
max_steps = 5_300
draw_dynamic_cfg = {**draw_dynamic_cfg, "valid_range": (-51.2, 51.2, -51.2, 51.2)}
# Keyframes are 0.5 s apart: a skipped one is a gap of 1 s.
streaming = {**streaming, "gap_probability": 0.1, "max_gap_frames": 1}

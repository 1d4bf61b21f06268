"""Step 2 Dynamic on Argoverse 2, full size: the dynamic head learns with memory, at 10 Hz.

Run, then write the submission that the official evaluation takes:

    LEAPAI_TASK_CONFIG=argoverse2_step2_dynamic torchrun --nproc_per_node=8 tools/main.py \\
        --config projects/perception/entry.py --state train \\
        --ckpt outputs/argoverse2_step1/model.ckpt
    leapai val --ckpt outputs/argoverse2_step2_dynamic/model.ckpt --format argoverse2

Hardware: meant for 8 GPUs, 8 streams each. Expected, not measured: 1 hour. 17 200 steps are 10
epochs, each of two frames, 2.2 million in all; the frozen trunk's 1.1 TFLOP forward dominates, at
an assumed 100 TFLOP/s a GPU. Not measured yet: score, hours, memory.
"""

from lpperception_current_hpa_step2_dynamic import *  # isort: skip
from argoverse2_step1 import (
    batch_sizes,
    bev,
    camera,
    data,
    dynamic,
    evaluation,
    lidar,
    static,
    training,
    vocabulary,
)

job_name = "argoverse2_step2_dynamic"

finetune_steps = 17_200
max_steps = 17_200
draw_dynamic_cfg = {**draw_dynamic_cfg, "valid_range": (-150.0, 150.0, -150.0, 150.0)}
memory_interval_s = 0.5  # three past frames reach 1.1 s back at 10 Hz instead of 0.3
streaming = {**streaming, "clip_frames": 48}

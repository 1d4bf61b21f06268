"""Step 2 Static on Argoverse 2, full size: the map head learns with memory.

Run:

    LEAPAI_TASK_CONFIG=argoverse2_step2_static torchrun --nproc_per_node=8 tools/main.py \\
        --config projects/perception/entry.py --state train \\
        --ckpt outputs/argoverse2_step1/model.ckpt

Hardware and hours expected: those of `argoverse2_step2_dynamic.py`. Not measured yet: score, hours,
memory.
"""

from lpperception_current_hpa_step2_static import *  # isort: skip
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

job_name = "argoverse2_step2_static"

finetune_steps = 17_200
max_steps = 17_200

"""Step 2 Dynamic on Argoverse 2 for one GPU.

    leapai train argoverse2_small_step2_dynamic --ckpt outputs/argoverse2_small_step1/model.ckpt
    leapai val --ckpt outputs/argoverse2_small_step2_dynamic/model.ckpt --format argoverse2

Hardware: meant for one GPU of 24 GB, 4 streams. Expected, not measured: 4 hours, by reading, as in
`argoverse2_small_step1.py`: 40 000 steps of two frames are 320 000 frames. Not measured yet: score,
hours, memory.
"""

from argoverse2_step2_dynamic import *  # isort: skip
from argoverse2_small_step1 import batch_sizes, bev, camera, dynamic, lidar, static, training

job_name = "argoverse2_small_step2_dynamic"

finetune_steps = 40_000
max_steps = 40_000

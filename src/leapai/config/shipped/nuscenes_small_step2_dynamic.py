"""Step 2 Dynamic on nuScenes for one GPU.

    leapai train nuscenes_small_step2_dynamic --ckpt outputs/nuscenes_small_step1/model.ckpt
    leapai val --ckpt outputs/nuscenes_small_step2_dynamic/model.ckpt --format nuscenes

Hardware: meant for one GPU of 24 GB, 8 streams. Expected, not measured: 3 hours, by reading, as in
`nuscenes_small_step1.py`: 20 000 steps of two frames are 320 000 frames. Not measured yet: score,
hours, memory.
"""

from nuscenes_step2_dynamic import *  # isort: skip
from nuscenes_small_step1 import batch_sizes, bev, camera, dynamic, lidar, static, training

job_name = "nuscenes_small_step2_dynamic"

finetune_steps = 20_000
max_steps = 20_000

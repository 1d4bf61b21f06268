"""Step 2 Static for a laptop. The static task is not part of this version: it loads and prints.

    leapai config --task-config projects/perception/configs/tiny_step2_static.py

Hardware: a CPU with two cores. Score: not trained yet.
"""

from lpperception_current_hpa_step2_static import *
from tiny_step1 import batch_sizes, bev, camera, data, dynamic, lidar, topk_query

job_name = "tiny_step2_static"

finetune_steps = 2_000
max_steps = 2_000

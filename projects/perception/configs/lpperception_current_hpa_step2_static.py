"""Step 2 Static, full size: what sees is frozen, the map head learns with memory.

The static task is not part of this version: the configuration loads and prints, running it says so.

    leapai config --task-config projects/perception/configs/lpperception_current_hpa_step2_static.py

Hardware: meant for 8 GPUs, 16 lanes each. Score: not trained yet.
"""

from lpperception_current_hpa_step2_dynamic import *

job_name = "lphpa_v3.0_step2_static"

dynamic_task = False
static_task = True
enable_dynamic_temporal = False
enable_static_temporal = True
task_loss_weights = {"static": 1.0}
trainable_modules = ("bev_static_neck", "bev_static_head", "bev_static_temporal_fusion")

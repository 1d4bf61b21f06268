"""Step 2 Dynamic for a laptop: the configuration of `leapai demo`.

    LEAPAI_TASK_CONFIG=projects/perception/configs/tiny_step2_dynamic.py \\
    torchrun --nproc_per_node=1 --master_port=21212 tools/main.py \\
        --config projects/perception/entry.py --state val --random-weights

Hardware: a CPU with two cores. Score: not trained yet.
"""

from lpperception_current_hpa_step2_dynamic import *
from tiny_step1 import batch_sizes, bev, camera, data, dynamic, lidar, topk_query

job_name = "tiny_step2_dynamic"

finetune_steps = 2_000
max_steps = 2_000

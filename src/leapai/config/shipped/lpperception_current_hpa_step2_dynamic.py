"""Step 2 Dynamic, full size: the trunk is frozen, the dynamic head learns with memory.

Run:

    LEAPAI_TASK_CONFIG=projects/perception/configs/lpperception_current_hpa_step2_dynamic.py \\
    torchrun --nproc_per_node=1 --master_port=21212 tools/main.py \\
        --config projects/perception/entry.py --state val --ckpt step2.ckpt

Hardware: meant for 8 GPUs, 16 streams each; validation also runs on a CPU: about 5 s a frame on two
cores.
Score: not trained yet.
"""

from lpperception_current_hpa_step1 import *

job_name = "lphpa_v3.0_step2_dynamic"

static_task = False
enable_dynamic_temporal = True

train_steps = 0
finetune_steps = 75_000
max_steps = 75_000
task_loss_weights = {"dynamic": 1.25}
eval_with_visualize = True

freeze_module_schedules = dict.fromkeys(freeze_module_schedules, 0)

# Streams walk through drives; what a stream has seen stays a target while memory can hold it.
streaming = {
    "clip_frames": 16,
    "frames_without_gradient": 1,
    "frames_with_gradient": 1,
    "gap_probability": 0.2,
    "max_gap_frames": 2,
    "reset_probability": 0.02,
}
loss = {"remembered_s": 2.0}

topk_query = 128
queue_length = 4
temporal_optimization = {
    "topk_selection": True,
    "query_rearrangement": True,
    "velocity_zeroing": True,
    "random_sampling": True,
}
draw_dynamic_cfg = {
    "dynamic_conf": 0.3,
    "draw_velo": True,
    "draw_occlusion": True,
    "draw_trajectory": True,
    "valid_range": (-150.0, 20.0, -25.0, 25.0),
    "max_objects": 100,
}
temporal_visualization = {
    "show_history": True,
    "show_velocity": True,
    "show_occlusion": True,
    "history_frames": 3,
    "trajectory_length": 10,
    "velocity_scale": 5.0,
}

"""Step 1, full size: everything is trained jointly on single frames.

Run:

    LEAPAI_TASK_CONFIG=projects/perception/configs/lpperception_current_hpa_step1.py \\
    torchrun --nproc_per_node=8 --master_port=21212 tools/main.py \\
        --config projects/perception/entry.py --state train

Hardware: meant for 8 GPUs, 16 frames each. Score: not trained yet.
"""

job_name = "lphpa_v3.0_step1"

enable_lidar = True
use_dynamic_outputs = True
dynamic_task = True
static_task = True
occ_task = False
attr_task = False
enable_dynamic_temporal = False
enable_static_temporal = False
enable_occ_temporal = False

train_steps = 125_000
finetune_steps = 0
max_steps = 125_000
task_loss_weights = {"dynamic": 2.5, "static": 0.67}
batch_sizes = {"train": 16, "val": 1}
use_backbone_amp = True
accumulate_grad_batches = 1
group_lr_scale = {"stage1_backbone": 1.0, "stage1_neck": 1.0}
eval_with_visualize = False
eval_instance = False

# Frozen from the last step on: never.
freeze_module_schedules = dict.fromkeys(
    [
        *(f"stage1_backbone{group}" for group in range(4)),
        *(f"stage1_neck{group}" for group in range(4)),
        "view_transfer",
        "lidar_vfe",
        "lidar_middle_encoder",
        "lidar_bev_backbone",
        "fuser",
    ],
    max_steps,
)

"""A small network learns one real keyframe of nuScenes by heart, in its ten classes.

    leapai train benchmarks/overfit_keyframe.py --data nuscenes:ROOT,version=v1.0-mini \\
        --val-data nuscenes:ROOT,version=v1.0-mini

ROOT has one keyframe. This is a check of reader, labels, losses, decoding and evaluation together,
and no score: the network is evaluated on the frame that it was trained on. Nothing is augmented,
because another view of the frame would be another frame. Hardware: a CPU, of which a step takes
0.2 s of one core. Reached: a loss of 0.7 and an mAP of 0.997.
"""

job_name = "overfit_keyframe"

dynamic_task = True
static_task = False
train_steps = 400
finetune_steps = 0
max_steps = 400
task_loss_weights = {"dynamic": 1.0}
batch_sizes = {"train": 1, "val": 1}
use_backbone_amp = False

vocabulary = "nuscenes"
bev = {"x_range_m": (-51.2, 51.2), "y_range_m": (-51.2, 51.2), "cell_m": 1.6, "channels": 64}
camera = {
    "image_size_px": (128, 224),
    "backbone": "resnetv2_18",
    "backbone_args": {"width_factor": 0.25},
    "heads": 2,
    "points": 4,
    "shared": True,
}
lidar = {
    "pillar_m": 0.8,
    "max_pillars": 10_000,
    "max_points_per_pillar": 32,
    "pillar_channels": 32,
    "middle_channels": 64,
}
dynamic = {
    "neck_channels": 64,
    "queries": 150,
    "embed": 64,
    "heads": 4,
    "points": 8,
    "ffn": 192,
}
augmentation = {
    "rotation_deg": 0.0,
    "mirror_probability": 0.0,
    "photometric": 0.0,
    "calibration_deg": 0.0,
    "calibration_m": 0.0,
    "lidar_dropout": 0.0,
    "cameras_dropout": 0.0,
    "camera_dropout": 0.0,
}
loss = {"denoising_groups": 3}
optimizer = {
    "learning_rate": 6e-3,  # 2.1e-3 for one process
    "warmup_steps": 50,
    "schedule": "cosine",
    "cosine_floor": 0.01,
}
training = {"workers": 0, "checkpoint_every": 50}
data = {
    "train": "nuscenes:data/nuscenes,version=v1.0-mini",
    "val": "nuscenes:data/nuscenes,version=v1.0-mini",
}

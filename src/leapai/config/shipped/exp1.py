"""Experiment."""

from tiny_step1 import *

job_name = "exp1"
augmentation = {
    "lidar_dropout": 0.2,
    "cameras_dropout": 0.25,
    "height_m": 0.15,
    "lidar": {
        "log_gain": 0.3,
        "log_gamma": 0.25,
        "blind_probability": 0.05,
        "thinning_probability": 0.3,
        "sparse_probability": 0.3,
        "tilt_deg": 0.4,
    },
}
camera = {**camera, "image_size_px": (128, 352)}
lidar = {**lidar, "intensity": "ground", "max_pillars": 10000}
data = {
    "train": "synthetic:split=train,drives=200,frames=24,rate_hz=4,rig=varied",
    "val": "synthetic:split=val,drives=1,rate_hz=4,rig=varied",
}
cache = {"folder": "/tmp/exp_cache3", "frames_gb": 20.0}
training = {"workers": 1, "checkpoint_every": 100, "validate_every": 100000}

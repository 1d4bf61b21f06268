"""Logs that py123d has converted, such as those of Waymo, nuPlan and KITTI-360."""

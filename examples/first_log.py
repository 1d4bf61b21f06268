"""From sensor files on a disk to tables of objects: a first look at your own data.

The files come from the embedded world here, so that you can run this without any. Put those of your
vehicle in their place: one folder of images for each camera, one of LiDAR sweeps, and
`calibration.json`, which names both.

    python examples/first_log.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

import leapai
from leapai.cli import main as leapai_command
from leapai.types import Frame

WORLD = "synthetic:frames=3,rate_hz=4,seed=5"


def write_sensor_files(folder: Path, frames: list[Frame]) -> None:
    """Writes what a vehicle records: images, sweeps, poses, and the calibration of its sensors."""
    lidar = folder / "lidar"
    lidar.mkdir(parents=True)
    poses = ["time,x,y,z,qw,qx,qy,qz"]
    for frame in frames:
        # Names end with the time. Here it is that of the sweep, for which the world calibrates.
        for camera in frame.cameras:
            if camera.image is not None:
                (folder / camera.name).mkdir(exist_ok=True)
                image = Image.fromarray(camera.image)
                image.save(folder / camera.name / f"{frame.timestamp_us}.png")
        if frame.points is not None:  # x y z intensity dt; float32
            frame.points.tofile(lidar / f"{frame.timestamp_us}.bin")
        poses.append(pose_row(frame))
    (folder / "poses.csv").write_text("\n".join(poses) + "\n")
    (folder / "calibration.json").write_text(json.dumps(calibration_of(frames[0]), indent=1))


def pose_row(frame: Frame) -> str:
    """Returns time, position and rotation (quaternion) of the ego in the global frame."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(frame.ego2global[:3, :3]).as_quat().tolist()
    position = ",".join(str(value) for value in frame.ego2global[:3, 3].tolist())
    return f"{frame.timestamp_us},{position},{w},{x},{y},{z}"


def calibration_of(frame: Frame) -> dict[str, object]:
    """Returns the content of the calibration file."""
    return {
        "time_unit": "us",
        "poses": "poses.csv",
        "lidar": {
            # These points are in the ego frame already; give the mount of your LiDAR.
            "ego_from_lidar": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
            "columns": ["x", "y", "z", "intensity", "dt_s"],
            "intensity_max": 1.0,
        },
        "cameras": [
            {
                "name": camera.name,
                "group": camera.group,
                "size_px": camera.size_px,
                "intrinsics": camera.intrinsics.tolist(),
                "distortion": camera.distortion.tolist(),
                "ego_from_camera": camera.ego_from_camera.tolist(),
            }
            for camera in frame.cameras
        ],
    }


def main(folder: Path) -> None:
    """Writes the files, predicts them, and reads the tables."""
    drive, output = folder / "drive", folder / "predicted"
    (log,) = leapai.open_logs(WORLD, image_size_px=(128, 240))
    write_sensor_files(drive, [log[index] for index in range(len(log))])

    # The same as the command: leapai predict FOLDER/drive --output FOLDER/predicted --every 3
    status = leapai_command(["predict", str(drive), "--output", str(output), "--every", "3"])
    if status:
        raise SystemExit(status)

    detections = pq.read_table(output / "detections.parquet")  # .to_pandas(), if you like
    confident = [row for row in detections.to_pylist() if row["score"] >= 0.5]
    print("\nconfident objects, in the ego frame (x forward, y left, metres)")
    for row in confident[:10]:
        print(
            f"{row['timestamp_us']} {row['class_name']:<20} "
            f"x {row['x_m']:6.1f}  y {row['y_m']:6.1f}  {row['score']:.2f}  track {row['track_id']}"
        )
    print("\ntracks")
    for row in pq.read_table(output / "tracks.parquet").to_pylist()[:10]:
        print(
            f"{row['track_id']:4d} {row['class_name']:<20} {row['frames']} frames, "
            f"{row['mean_speed_mps']:.1f} m/s"
        )
    lines = pq.read_table(output / "lines.parquet")
    print(f"\n{lines.num_rows} lines of the map, such as: {set(lines['kind'].to_pylist())}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python examples/first_log.py FOLDER")
    main(Path(sys.argv[1]))

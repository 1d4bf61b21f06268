"""Every way in which a sensor fails, and the age of memory, as they are reported to a user."""

from dataclasses import replace

import numpy as np
import pytest

from leapai.data.frame_check import check_frame
from leapai.data.perturbation import without_cameras, without_lidar
from leapai.streaming.sensor_health import SensorStatus, health_of
from leapai.streaming.session import StreamSession
from tests.scenes import make_frame, seeded_model, small_config

CONFIG = small_config()


@pytest.fixture(scope="module")
def memory():
    """An empty memory's report."""
    return StreamSession(seeded_model(CONFIG), CONFIG).step(make_frame(0)).memory


def with_camera(name, frame=None, faults=(), **changes):
    frame = frame or make_frame(0)
    cameras = tuple(replace(c, **changes) if c.name == name else c for c in frame.cameras)
    return replace(frame, cameras=cameras, faults=faults)


def failing(frame, memory):
    health = health_of(check_frame(frame), memory)
    assert list(health.sensors) == [*(camera.name for camera in frame.cameras), "lidar"]
    return {name: (s.status, s.reason) for name, s in health.failing.items()}


def test_a_frame_in_order_has_nothing_failing(memory):
    assert failing(make_frame(0), memory) == {}


def test_a_sensor_that_gave_nothing_is_missing(memory):
    frame = with_camera("back", image=None)
    assert failing(frame, memory) == {"back": (SensorStatus.MISSING, "no data")}
    frame = replace(make_frame(0), points=None)
    assert failing(frame, memory) == {"lidar": (SensorStatus.MISSING, "no data")}


def test_what_a_measurement_leaves_out_is_missing(memory):
    reported = failing(without_lidar(without_cameras(make_frame(0), ["back"])), memory)
    assert {status for status, _ in reported.values()} == {SensorStatus.MISSING}
    assert set(reported) == {"back", "lidar"}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("samples/x.jpg: no such file", SensorStatus.MISSING),
        ("samples: no such folder", SensorStatus.MISSING),
        ("back: no image within 50 ms of 17 ns", SensorStatus.MISSING),
        ("no driver", SensorStatus.MISSING),
        ("samples/x.jpg: cannot be decoded", SensorStatus.CORRUPT),
        ("samples/x.jpg: holds no bytes", SensorStatus.CORRUPT),
        ("samples/x.jpg: is 8 x 8 pixels, calibrated for 16 x 16", SensorStatus.CORRUPT),
    ],
)
def test_the_words_of_the_fault_tell_missing_from_corrupt(memory, words, status):
    frame = with_camera("back", image=None, faults=(f"back: {words}",))
    assert failing(frame, memory) == {"back": (status, words)}


@pytest.mark.parametrize("name", ["LIDAR_TOP", "lidar", "LiDAR"])
def test_a_lidar_is_known_by_any_of_its_names(memory, name):
    frame = replace(make_frame(0), points=None, faults=(f"{name}: a.bin: is truncated",))
    assert failing(frame, memory) == {"lidar": (SensorStatus.CORRUPT, "a.bin: is truncated")}


def test_a_fault_of_an_earlier_sweep_leaves_the_lidar_ok_and_is_told(memory):
    frame = replace(make_frame(0), faults=("LIDAR_TOP: sweeps/a.bin: no such file",))
    lidar = health_of(frame, memory).sensors["lidar"]
    assert (lidar.status, lidar.reason) == (SensorStatus.OK, "sweeps/a.bin: no such file")


def test_an_image_of_one_colour_is_corrupt_but_for_one_pixel(memory):
    image = np.full((64, 96, 3), (7, 8, 9), np.uint8)
    reported = failing(with_camera("back", image=image), memory)
    assert reported == {"back": (SensorStatus.CORRUPT, "image: every pixel is (7, 8, 9)")}
    image[5, 7] = 0
    assert failing(with_camera("back", image=image), memory) == {}


@pytest.mark.parametrize(
    ("away_us", "words"), [(-100_001, "0.100 s before"), (2_000_000, "2.000 s after")]
)
def test_a_camera_of_another_time_is_stale(memory, away_us, words):
    frame = make_frame(0)
    late = with_camera("back", timestamp_us=frame.timestamp_us + away_us)
    assert failing(late, memory) == {"back": (SensorStatus.STALE, f"{words} the frame")}
    near = with_camera("back", timestamp_us=frame.timestamp_us + int(np.sign(away_us)) * 100_000)
    assert failing(near, memory) == {}


def test_a_sweep_is_stale_when_all_of_it_is(memory):
    points = make_frame(0).points.copy()
    points[:, 4] = -0.25
    reported = failing(replace(make_frame(0), points=points), memory)
    assert reported == {"lidar": (SensorStatus.STALE, "0.250 s before the frame")}
    points[3, 4] = 0.0  # several sweeps together: the newest counts
    assert failing(replace(make_frame(0), points=points), memory) == {}


def test_points_out_of_bounds_are_dropped_and_counted(memory):
    points = make_frame(0).points.copy()
    points[3, 1] = np.nan
    points[5] = np.inf
    points[8, 0] = 501.0
    points[9, 3] = 3e38
    words = "4 of 600 points dropped (2 not finite, 1 beyond 500 m, 1 intensity outside 0..10)"
    reported = failing(replace(make_frame(0), points=points), memory)
    assert reported == {"lidar": (SensorStatus.DEGRADED, f"points: {words}")}
    kept = check_frame(replace(make_frame(0), points=points)).points
    np.testing.assert_array_equal(kept, np.delete(points, [3, 5, 8, 9], 0))


def test_a_sweep_of_which_most_is_out_of_bounds_is_corrupt(memory):
    points = make_frame(0).points.copy()
    points[:301, 0] = np.nan
    reported = failing(replace(make_frame(0), points=points), memory)
    assert reported["lidar"][0] is SensorStatus.CORRUPT
    points[0, 0] = 1.0  # half of it
    reported = failing(replace(make_frame(0), points=points), memory)
    assert reported["lidar"][0] is SensorStatus.DEGRADED


def test_a_camera_whose_name_holds_lidar_is_no_lidar(memory):
    camera = replace(make_frame(0).cameras[0], name="lidar_cam", image=None)
    frame = replace(make_frame(0), cameras=(camera,), faults=("lidar_cam: gone",))
    assert failing(frame, memory) == {"lidar_cam": (SensorStatus.MISSING, "gone")}


def test_a_sweep_without_returns_is_ok(memory):
    assert failing(replace(make_frame(0), points=np.zeros((0, 5), np.float32)), memory) == {}


def test_memory_tells_its_age_its_reach_and_its_reset():
    session = StreamSession(seeded_model(CONFIG), CONFIG)
    reported = []
    for i in (0, 1, 2, 3, 4, 40):
        frame = make_frame(i)
        health = health_of(frame, session.step(frame).memory)
        reported.append((health.newest_age_s, health.oldest_age_s, health.memory_reset))
    empty = (None, None, True)
    filling = [(0.1, 0.1, False), (0.1, 0.2, False), (0.1, 0.3, False), (0.1, 0.3, False)]
    assert reported == [empty, *filling, empty]  # 3.6 s without a frame drop it


def test_a_network_without_memory_has_none_to_age():
    config = small_config(enable_dynamic_temporal=False)
    session = StreamSession(seeded_model(config), config)
    session.step(make_frame(0))
    health = health_of(make_frame(1), session.step(make_frame(1)).memory)
    assert (health.newest_age_s, health.oldest_age_s) == (None, None)

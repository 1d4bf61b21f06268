"""Single files and words that are damaged: images, sweeps, rigs, locations."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from leapai.data.folder.point_files import read_sweep
from leapai.data.log import OpenOptions
from leapai.data.reading import IMAGE_FORMATS, SensorError, read_image
from leapai_world import open_logs
from leapai_world.sensors.rig_files import open_rig
from tests.data.folder.made_up_drive import points
from tests.robustness.damage import TEXTS, damaged_bytes, damaged_json
from tests.robustness.data_properties import SIZE_PX, pcd
from tests.robustness.promise import Draw, Outcome, Property, check_words, outcome_of
from tests.world.test_rigs import OWN

MODES = {
    "PNG": ("RGB", "RGBA", "L", "P", "1", "I;16"),
    "JPEG": ("RGB", "L", "CMYK"),
    "TIFF": ("RGB", "L", "I;16", "F", "CMYK"),
}


def images(folder: Path) -> Callable[[Draw], Outcome]:
    """Images of every format and kind of pixel."""
    encoded: list[bytes] = []
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (*SIZE_PX, 3), dtype=np.uint8)
    )
    for kind in IMAGE_FORMATS:
        for mode in MODES.get(kind, ("RGB",)):
            file = io.BytesIO()
            grey = picture.convert("I").point(lambda i: i * 257) if mode == "I;16" else picture
            grey.convert(mode).save(file, kind)
            encoded.append(file.getvalue())

    def check(draw: Draw) -> Outcome:
        path = folder / "image"
        path.write_bytes(damaged_bytes(draw, draw(st.sampled_from(encoded))))

        def use() -> bool:
            try:
                image = read_image(path, SIZE_PX)
            except SensorError as fault:
                check_words(str(fault), "image")
                return True
            assert image.shape == (*SIZE_PX, 3)
            assert image.dtype == np.uint8
            return False

        return outcome_of(use, "image")

    return check


def sweeps(folder: Path) -> Callable[[Draw], Outcome]:
    """LiDAR sweeps in files of each format."""
    npy = io.BytesIO()
    np.save(npy, points(0))
    whole = {"0.bin": points(0).tobytes(), "0.npy": npy.getvalue(), "0.pcd": pcd()}

    def check(draw: Draw) -> Outcome:
        name = draw(st.sampled_from(sorted(whole)))
        (folder / name).write_bytes(damaged_bytes(draw, whole[name]))

        def use() -> bool:
            try:
                columns = read_sweep(folder / name, None)
            except SensorError as fault:
                check_words(str(fault), name)
                return True
            assert len({len(column) for column in columns.values()}) == 1
            return False

        return outcome_of(use, name)

    return check


def rigs(folder: Path) -> Callable[[Draw], Outcome]:
    """Files of rigs of the embedded world."""
    path = folder / "rig.json"
    whole = json.dumps(OWN).encode()

    def check(draw: Draw) -> Outcome:
        path.write_bytes(damaged_json(draw, whole))

        def use() -> bool:
            rig = open_rig(str(path), SIZE_PX, 2)
            return not all(np.isfinite(camera.intrinsics).all() for camera in rig.cameras)

        outcome = outcome_of(use, "rig.json")
        assert outcome is not Outcome.MARKED
        return outcome

    return check


OPTIONS = ("seed", "drives", "frames", "rate_hz", "beams", "split", "place", "rig", "blur", "x")


def locations(folder: Path) -> Callable[[Draw], Outcome]:
    """Locations of data sets, as users type them."""

    def check(draw: Draw) -> Outcome:
        values = st.sampled_from(TEXTS) | st.integers().map(str) | st.floats().map(str)
        parts = draw(st.lists(st.tuples(st.sampled_from(OPTIONS), values), max_size=3))
        location = ",".join(f"{name}={value}" for name, value in parts)

        def use() -> bool:
            logs = open_logs(location, OpenOptions(SIZE_PX))
            assert all(0 < log.timestamps_us[-1] < 2**60 for log in (logs[0], logs[-1]))
            return False

        return outcome_of(use, "synthetic")

    return check


PROPERTIES = (
    Property("images", images, 200),
    Property("sweeps", sweeps, 150),
    Property("rigs of the world", rigs, 60),
    Property("locations of the world", locations, 60),
)

"""ROS 2 bags that are damaged: as files, and message by message behind intact checksums."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from tests.data.bags.made_up_bag import SIZE_PX, START_US, TABLE, MadeUpBag, points
from tests.robustness.damage import damaged_bytes, damaged_json, damaged_text
from tests.robustness.data_properties import Damage, damaging, read_all
from tests.robustness.promise import Draw, Outcome, Property, Sandbox, outcome_of

READER = "leapai.data.bags.bag_reader:open_logs"
STEP_US = 50_000
TOPICS = ("/odom", "/info", "/image", "/points", "/tf_static")
_TIMED = TABLE | {"lidar": TABLE["lidar"] | {"time_field": "t"}}


def write_bag(folder: Path, change: Callable[[str, bytes], bytes] = lambda _, data: data) -> Path:
    """Writes a bag of four frames, whose points carry time, and its table; returns its folder."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    with MadeUpBag(folder, change=change) as bag:
        for time_us in range(START_US - STEP_US, START_US + 4 * STEP_US, STEP_US):
            bag.pose(time_us)
        bag.info(START_US)
        for time_us in range(START_US, START_US + 4 * STEP_US, STEP_US):
            table = points(
                rng.uniform(-20, 20, (30, 3)),
                intensity=("<f4", rng.uniform(0, 100, 30)),
                t=("<f4", np.linspace(-0.04, 0, 30)),
            )
            pixels = rng.integers(0, 255, 3 * SIZE_PX[0] * SIZE_PX[1], np.uint8)
            bag.image(time_us - 10_000, 0, data=pixels)
            bag.sweep(time_us, table)
    (folder / "topics.json").write_text(json.dumps(_TIMED))
    return bag.path


def bags(folder: Path) -> Callable[[Draw], Outcome]:
    """The files of a bag, and its table of topics."""
    data = f"{READER}:{write_bag(folder / 'data')}"
    assert not read_all(data)(), "what is not damaged has no marks"
    damages: dict[str, Damage] = {
        ".mcap": damaged_bytes,
        "topics.json": damaged_json,
        "metadata.yaml": damaged_text,
    }
    return damaging(Sandbox(folder), damages, read_all(data))


def bag_messages(folder: Path) -> Callable[[Draw], Outcome]:
    """Single messages of a bag, which is whole as a file."""
    numbers = count()

    def check(draw: Draw) -> Outcome:
        damaged, first = draw(st.sampled_from(TOPICS)), draw(st.integers(0, 3))
        seen = count()

        def change(topic: str, content: bytes) -> bytes:
            hit = topic == damaged and next(seen) >= first
            return damaged_bytes(draw, content) if hit else content

        example = folder / str(next(numbers))
        path = write_bag(example, change)
        outcome = outcome_of(read_all(f"{READER}:{path}"), str(path))
        shutil.rmtree(example)
        return outcome

    return check


PROPERTIES = (
    Property("files of ROS 2 bags", bags, 25),
    Property("messages of ROS 2 bags", bag_messages, 20),
)

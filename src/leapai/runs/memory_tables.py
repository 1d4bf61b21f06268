"""Tables of the temporal memory, frame by frame: `--memory` writes them while a run streams.

They hold what the head reports about its memory (docs/design.md, section 5), as three tables:

`memory/frames/DRIVE.parquet`   a row a frame: ego motion since the last frame, interval, reset
`memory/slots/DRIVE.parquet`    a row a valid history slot, aligned to the frame
`memory/queries/DRIVE.parquet`  a row a query of the frame, decoded

A notebook reads a table of all drives at once:

    import pandas
    slots = pandas.read_parquet("outputs/demo/memory/slots")
    frame = slots[slots.timestamp_us == slots.timestamp_us.max()]
    print(frame[["track_id", "class_name", "score", "age_s", "x_m", "y_m", "vx_mps", "vy_mps"]])
    print((frame.x_unit * (62.4 + 40) - 40 - frame.x_m).abs().max(), "m were clipped at most")

A frame has `queries` and at most `history_slots` rows, each with one feature vector, and the first
`MOST_FRAMES` frames of a drive are written. So the size of a drive is bounded: 0.17 MB a frame, and
35 MB a drive, for the tiny network; about five times as much for the full-size one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leapai.data.log import DrivingLog
from leapai.folders import file_name
from leapai.io import whole_file
from leapai.runs.run_folder import MEMORY
from leapai.streaming.detection_table import FRAME_KEY, VELOCITY_COLUMNS, key_columns, named_columns
from leapai.streaming.step_result import StepResult
from leapai.types import BevGrid, FloatArray

if TYPE_CHECKING:
    from torch import Tensor

    from leapai.models.tensors import DynamicPredictions

MOST_FRAMES = 200
"""Frames of a drive that are written at most: the first."""
_POSITION = ("x_m", "y_m", "z_m")
_UNIT = ("x_unit", "y_unit", "z_unit")
_DISPLACEMENT = ("displacement_x_m", "displacement_y_m", "displacement_z_m")
_CLASS = [("class_id", pa.int64()), ("class_name", pa.string()), ("score", pa.float32())]
_MATRIX = pa.list_(pa.float64(), 16)
_VECTOR = pa.list_(pa.float32())


def _floats(*names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, pa.float32()) for name in names]


FRAME_SCHEMA = pa.schema(
    [
        *FRAME_KEY,
        ("ego2global", _MATRIX),
        ("prev2curr", _MATRIX),
        ("interval_s", pa.float32()),
        ("reset", pa.bool_()),
        ("slots", pa.int64()),
    ],
    metadata={
        "ego2global": "row by row",
        "prev2curr": "row by row: this ego frame from that of the last frame; identity on a reset",
        "interval_s": "time since the last frame; 0 on a reset",
        "reset": "memory was dropped: a drive began, or too much time had passed",
        "slots": "valid history slots: rows of the frame in the table of slots",
    },
)
SLOT_SCHEMA = pa.schema(
    [
        *FRAME_KEY,
        ("slot", pa.int64()),
        ("track_id", pa.int64()),
        *_CLASS,
        ("stored_us", pa.int64()),
        *_floats("age_s", *_POSITION, *_UNIT, *VELOCITY_COLUMNS, *_DISPLACEMENT),
        ("current_from_stored", _MATRIX),
        ("query", _VECTOR),
    ],
    metadata={
        "slot": "place in memory, oldest frame first",
        "track_id": "-1: none",
        "stored_us": "timestamp of the frame in which the slot was stored",
        "x_m": "reference point, moved by its velocity and into this ego frame; not clipped",
        "x_unit": "the same in [0, 1] of the BEV range, clipped: what the decoder reads",
        "vx_mps": "in this frame's ego axes; 0 of classes that do not move",
        "displacement_x_m": "motion compensation v dt, in the axes of the last frame",
        "current_from_stored": "row by row: this ego frame from that in which it was stored",
        "query": "feature, conditioned on the motion since it was stored",
    },
)
QUERY_SCHEMA = pa.schema(
    [
        *FRAME_KEY,
        ("query_index", pa.int64()),
        ("track_id", pa.int64()),
        *_CLASS,
        ("stored", pa.bool_()),
        *_floats(*_POSITION, *_UNIT, *VELOCITY_COLUMNS, "yaw_rad"),
        ("angle_bins", pa.list_(pa.float32(), 8)),
        ("embedding", _VECTOR),
        ("query", _VECTOR),
    ],
    metadata={
        "track_id": "of the detection that the query became; -1: none",
        "stored": "whether it entered memory",
        "x_unit": "decoded centre in [0, 1] of the BEV range",
        "angle_bins": "probability of each angle bin: bin k looks 45 k degrees to the left",
        "embedding": "learned query before decoding; equal in all frames, so null but in the first",
        "query": "feature of the last decoder layer: what memory stores",
    },
)
SCHEMAS = {"frames": FRAME_SCHEMA, "slots": SLOT_SCHEMA, "queries": QUERY_SCHEMA}
"""Columns of the tables, by folder; coordinates are ego: x forward, y left, z up."""

Write = Callable[[StepResult], None]
"""Adds a frame to the tables."""


def memory_writer(
    enabled: bool, grid: BevGrid
) -> Callable[[Path, DrivingLog], AbstractContextManager[Write]]:
    """Returns a context manager that writes the tables of a sequence into the folder of a run; not
    `enabled`, a stub."""

    @contextmanager
    def writing(folder: Path, log: DrivingLog) -> Iterator[Write]:
        with ExitStack() as stack:
            writers = {}
            for name, schema in SCHEMAS.items():
                path = folder / MEMORY / name / f"{file_name(log.name)}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = stack.enter_context(whole_file(path))
                writers[name] = stack.enter_context(
                    pq.ParquetWriter(temporary, schema, compression="zstd")
                )
            written = 0

            def write(result: StepResult) -> None:
                nonlocal written
                if written < MOST_FRAMES:
                    for name, table in tables_of(result, grid, first=written == 0).items():
                        writers[name].write_table(table)
                written += 1

            yield write

    return writing if enabled else _no_writing


@contextmanager
def _no_writing(*_: object) -> Iterator[Write]:
    yield lambda result: None


def tables_of(result: StepResult, grid: BevGrid, *, first: bool) -> dict[str, pa.Table]:
    """Returns the rows of one frame, by table; `first`: with the learned embeddings of the queries.

    Raises ValueError where the dynamic task is off, which has the memory of queries.
    """
    if result.dynamic is None:
        raise ValueError("dynamic_task is off: there is no memory of queries to write")
    return {
        "frames": _frame_table(result, result.dynamic),
        "slots": _slot_table(result, result.dynamic),
        "queries": _query_table(result, result.dynamic, grid, first=first),
    }


def _frame_table(result: StepResult, dynamic: DynamicPredictions) -> pa.Table:
    memory = dynamic.memory
    columns = {
        **key_columns(result.detections, 1),
        "ego2global": _rows(result.detections.ego2global[None]),
        "prev2curr": _rows(_array(memory.prev2curr)),
        "interval_s": _array(memory.interval_s),
        "reset": _array(memory.reset),
        "slots": _array(memory.valid.sum(1)),
    }
    return pa.table(columns, schema=FRAME_SCHEMA)


def _slot_table(result: StepResult, dynamic: DynamicPredictions) -> pa.Table:
    memory = dynamic.memory
    valid = _array(memory.valid[0])

    def of(values: Tensor) -> np.ndarray:
        rows: np.ndarray = _array(values[0])[valid]
        return rows

    columns = {
        **key_columns(result.detections, int(valid.sum())),
        "slot": np.flatnonzero(valid),
        "track_id": of(memory.track_id),
        **_class_columns(result, of(memory.class_id), of(memory.confidence)),
        "stored_us": of(memory.timestamp_us),
        "age_s": of(memory.age_s),
        **named_columns(_POSITION, of(memory.reference_m)),
        **named_columns(_UNIT, of(memory.reference_clipped)),
        **named_columns(VELOCITY_COLUMNS, of(memory.velocity_mps)),
        **named_columns(_DISPLACEMENT, of(memory.displacement_m)),
        "current_from_stored": _rows(of(memory.current_from_stored)),
        "query": _rows(of(memory.history_query)),
    }
    return pa.table(columns, schema=SLOT_SCHEMA)


def _query_table(
    result: StepResult, dynamic: DynamicPredictions, grid: BevGrid, *, first: bool
) -> pa.Table:
    probability, class_id = dynamic.class_logits[-1, 0].sigmoid().max(-1)
    boxes = dynamic.boxes[0].float()
    count = len(boxes)
    columns = {
        **key_columns(result.detections, count),
        "query_index": np.arange(count),
        "track_id": _track_ids(result, count),
        **_class_columns(result, _array(class_id), _array(probability)),
        "stored": _stored(result, count),
        **named_columns(_POSITION, _array(grid.denormalise(boxes[:, :3]))),
        **named_columns(_UNIT, _array(boxes[:, :3])),
        **named_columns(VELOCITY_COLUMNS, _array(boxes[:, 8:11])),
        "yaw_rad": np.arctan2(_array(boxes[:, 6]), _array(boxes[:, 7])),
        "angle_bins": _rows(_array(dynamic.angle_logits[-1, 0].softmax(-1))),
        "embedding": _rows(_array(dynamic.memory.current_query[0])) if first else [None] * count,
        "query": _rows(_array(dynamic.decoder_features[-1, 0])),
    }
    return pa.table(columns, schema=QUERY_SCHEMA)


def _class_columns(result: StepResult, class_id: np.ndarray, score: np.ndarray) -> dict[str, Any]:
    names = result.detections.vocabulary.named(class_id)
    return {"class_id": class_id, "class_name": names, "score": score}


def _track_ids(result: StepResult, count: int) -> np.ndarray:
    """Returns the track id of each query [Q]; -1 where it became no detection."""
    track_id = np.full(count, -1, np.int64)
    track_id[result.detections.query_index] = result.detections.track_id
    return track_id


def _stored(result: StepResult, count: int) -> np.ndarray:
    """Returns whether each query [Q] of this frame is in the memory after it."""
    state, stored = result.state, np.zeros(count, bool)
    fresh = state.valid[0] & (state.timestamp_us[0] == result.detections.timestamp_us)
    stored[_array(state.query_index[0][fresh])] = True
    return stored


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().cpu().numpy()
    return array


def _rows(values: FloatArray) -> list[FloatArray]:
    """Returns an array [N, ...] as N flat vectors."""
    return [row.ravel() for row in values]

"""The tables of the temporal memory: what the head reports, frame by frame, read from disk."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from leapai.runs import memory_tables
from leapai.runs.memory_tables import SCHEMAS, memory_writer, tables_of
from leapai.streaming.session import StreamSession
from tests.scenes import ROAD_ALONE, make_frame, seeded_model, small_config

CONFIG = small_config(
    evaluation={"min_score": 0.0, "max_detections": 10}, tracking={"birth_score": 0.0}
)
FRAMES = 3


class Log:
    name = "drive"


@pytest.fixture(scope="module")
def results():
    session = StreamSession(seeded_model(CONFIG), CONFIG)
    return [session.step(make_frame(i)) for i in range(FRAMES)]


def write(folder, results):
    with memory_writer(True, CONFIG.bev.grid())(folder, Log()) as add:
        for result in results:
            add(result)
    return {name: pd.read_parquet(folder / "memory" / name) for name in SCHEMAS}


@pytest.fixture(scope="module")
def tables(results, tmp_path_factory):
    return write(tmp_path_factory.mktemp("run"), results)


def test_every_frame_has_its_motion_and_its_slots(tables, results):
    frames = tables["frames"]
    assert frames.timestamp_us.tolist() == [r.frame.timestamp_us for r in results]
    assert frames.reset.tolist() == [True, False, False]
    assert frames.slots.tolist() == [0, 8, 16]
    for row, result in zip(frames.itertuples(), results, strict=True):
        np.testing.assert_array_equal(
            np.reshape(row.prev2curr, (4, 4)), result.dynamic.memory.prev2curr[0].numpy()
        )
        np.testing.assert_array_equal(np.reshape(row.ego2global, (4, 4)), result.frame.ego2global)
        assert row.interval_s == pytest.approx(float(result.dynamic.memory.interval_s[0]))


def test_slots_are_those_that_the_decoder_reads(tables, results):
    last, memory = results[-1], results[-1].dynamic.memory
    slots = tables["slots"].query(f"timestamp_us == {last.frame.timestamp_us}")
    valid = memory.valid[0].numpy()
    for columns, values in {
        ("x_m", "y_m", "z_m"): memory.reference_m,
        ("x_unit", "y_unit", "z_unit"): memory.reference_clipped,
        ("vx_mps", "vy_mps", "vz_mps"): memory.velocity_mps,
        ("displacement_x_m", "displacement_y_m", "displacement_z_m"): memory.displacement_m,
    }.items():
        np.testing.assert_array_equal(slots[list(columns)], values[0].numpy()[valid])
    for column, values in {
        "track_id": memory.track_id, "class_id": memory.class_id, "score": memory.confidence,
        "stored_us": memory.timestamp_us, "age_s": memory.age_s,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(slots[column], values[0].numpy()[valid])
    np.testing.assert_array_equal(np.stack(slots["query"]), memory.history_query[0].numpy()[valid])
    transforms = np.stack(slots["current_from_stored"]).reshape(-1, 4, 4)
    np.testing.assert_array_equal(transforms, memory.current_from_stored[0].numpy()[valid])


def test_a_point_beyond_the_range_is_clipped_and_kept(results):
    far = results[-1].dynamic
    moved = far.memory.reference_m + far.memory.reference_m.new_tensor([500.0, 0.0, 0.0])
    memory = type(far.memory)(
        **{
            **vars(far.memory),
            "reference_m": moved,
            "reference_clipped": CONFIG.bev.grid().normalise(moved).clamp(0, 1),
        }
    )
    result = type(results[-1])(
        **{**vars(results[-1]), "dynamic": type(far)(**{**vars(far), "memory": memory})}
    )
    slots = tables_of(result, CONFIG.bev.grid(), first=False)["slots"].to_pandas()
    assert (slots.x_unit == 1).all()
    assert (slots.x_m > 400).all()


def test_queries_carry_identity_class_and_what_is_stored(tables, results):
    queries = tables["queries"]
    for result in results:
        rows = queries.query(f"timestamp_us == {result.frame.timestamp_us}")
        assert rows.query_index.tolist() == list(range(24))
        assert rows.stored.sum() == 8
        # The stored ones are the most confident.
        assert rows.score[rows.stored].min() >= rows.score[~rows.stored].max()
        detected = rows[rows.track_id >= 0].set_index("query_index")
        found = result.detections
        tracked = found.track_id >= 0
        assert tracked.any()
        assert set(detected.index) == set(found.query_index[tracked])
        for query, track, box, class_id in zip(
            found.query_index, found.track_id, found.boxes, found.class_id, strict=True
        ):
            if track >= 0:
                row = detected.loc[query]
                assert (row.track_id, row.class_id) == (track, class_id)
                assert [row.x_m, row.y_m, row.yaw_rad] == pytest.approx(box[[0, 1, 6]], abs=1e-4)
        decoded = result.dynamic.boxes[0].numpy()
        np.testing.assert_array_equal(rows[["vx_mps", "vy_mps", "vz_mps"]], decoded[:, 8:])
        features = result.dynamic.decoder_features[-1, 0].numpy()
        np.testing.assert_array_equal(np.stack(rows["query"]), features)
    bins = np.stack(queries.angle_bins)
    np.testing.assert_allclose(bins.sum(1), 1, atol=1e-5)


def test_learned_embeddings_stand_once(tables):
    first = tables["queries"].embedding.notna()
    assert first.sum() == 24
    assert first[:24].all()


def test_the_example_of_the_documentation_runs(tmp_path, results, monkeypatch, capsys):
    write(tmp_path / "outputs/demo", results)
    monkeypatch.chdir(tmp_path)
    lines = memory_tables.__doc__.splitlines()
    example = [line for line in lines if line.startswith("    ")]
    assert len(example) == 5
    exec(textwrap.dedent("\n".join(example)), {})
    printed = capsys.readouterr().out
    assert printed.count("\n") > 16
    assert "track_id" in printed
    assert "m were clipped at most" in printed


def test_a_long_drive_is_bounded(tmp_path, results, monkeypatch):
    monkeypatch.setattr(memory_tables, "MOST_FRAMES", 2)
    tables = write(tmp_path, results)
    assert len(tables["frames"]) == 2
    assert len(tables["queries"]) == 48


def test_a_drive_that_breaks_off_leaves_no_table(tmp_path, results):
    def broken():
        yield results[0]
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="the disk is gone"):
        write(tmp_path, broken())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_nothing_is_written_where_nobody_asks(tmp_path, results):
    with memory_writer(False, CONFIG.bev.grid())(tmp_path, Log()) as add:
        add(results[0])
    assert not list(tmp_path.iterdir())


def test_columns_are_documented_in_the_file(tmp_path, results):
    write(tmp_path, results)
    metadata = pq.read_schema(tmp_path / "memory/slots/drive.parquet").metadata
    assert b"clipped" in metadata[b"x_unit"]


def test_a_network_without_queries_has_no_tables():
    config = small_config(**ROAD_ALONE)
    result = StreamSession(seeded_model(config), config).step(make_frame(0))
    with pytest.raises(ValueError, match="dynamic_task is off"):
        tables_of(result, config.bev.grid(), first=True)

"""Parquet files of others: whole, or one line; never more memory than any run needs."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leapai.runs import parquet_files
from leapai.runs.parquet_files import read_parquet


def test_words_numbers_and_lists_come_back(tmp_path):
    table = pa.table(
        {
            "word": ["a", "b", "a", None],
            "number": [1, 2, None, 4],
            "words": [["x", "y"], [], None, ["x"]],
            "numbers": [[0.5], [], [1.0, 2.0], None],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_parquet(tmp_path / "t.parquet").equals(table)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([7] * 3_000_000),
        pa.DictionaryArray.from_arrays(pa.array([0] * 40_000, pa.int32()), ["x" * 1_000]),
        pa.array([[0.0] * 3_000_000]),
    ],
    ids=["numbers", "words", "lists"],
)
def test_a_small_file_of_a_large_table_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch, column
):
    monkeypatch.setattr(parquet_files, "MAX_BYTES", 20_000_000)
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"x": column}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"would take 0\.0 GB of memory"):
        read_parquet(path)


def test_a_folder_or_other_bytes_are_one_line(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_bytes(b"PAR1" * 10)
    for path in (tmp_path / "a", tmp_path / "b", tmp_path / "c"):
        with pytest.raises(ValueError, match="is not a whole Parquet file"):
            read_parquet(path)

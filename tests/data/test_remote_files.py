"""Data sets on a server that speaks S3 are read as those in a folder are."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.registry import _registry
from moto.server import ThreadedMotoServer

from leapai.data import file_copies
from leapai.data.cache_sources import are_unchanged, noting_files
from leapai.data.data_names import check_data, named_source
from leapai.data.file_copies import FileCopies
from leapai.data.log import open_logs
from leapai.data.reading import SensorError, read_bytes
from leapai.data.remote_files import RemotePath, source_path
from leapai.extras import MissingExtraError
from tests.data import test_argoverse2, test_nuscenes
from tests.data.folder.made_up_drive import write_drive

BUCKET = "s3://drives"


@pytest.fixture(scope="module")
def address():
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(address, tmp_path, monkeypatch):
    """An empty bucket, credentials in the environment, and a cache of its own."""
    environment = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LEAPAI_CACHE": str(tmp_path / "cache"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    if system.exists(BUCKET):
        system.rm(BUCKET, recursive=True)
    system.mkdir(BUCKET)
    fsspec.filesystem("s3").invalidate_cache()
    return system


def upload(system, folder, name):
    system.put(str(folder), f"{BUCKET}/{name}", recursive=True)
    fsspec.filesystem("s3").invalidate_cache()
    return f"{BUCKET}/{name}"


def same(one, other):
    """Whether two frames are equal in every field."""
    for field in dataclasses.fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, theirs)
        elif dataclasses.is_dataclass(mine):
            same(mine, theirs)
        elif isinstance(mine, tuple) and mine and dataclasses.is_dataclass(mine[0]):
            for pair in zip(mine, theirs, strict=True):
                same(*pair)
        else:
            assert mine == theirs


def write_nuscenes(folder):
    drive = test_nuscenes.Drive(folder)
    drive.annotate("car", "vehicle.car", [0, 1, 2], lambda t: test_nuscenes.LANDMARK_M)
    drive.write()
    return folder


def write_argoverse2(folder):
    drive = test_argoverse2.Drive(folder)
    drive.annotate(
        "bus", "BUS", range(test_argoverse2.FRAMES), lambda t: test_argoverse2.LANDMARK_M
    )
    drive.write()
    return folder


def write_folder(folder):
    write_drive(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "write"),
    [("nuscenes", write_nuscenes), ("argoverse2", write_argoverse2), ("folder", write_folder)],
)
def test_frames_are_those_of_the_folder(s3, tmp_path, name, write):
    root = write(tmp_path / "drive")
    there = upload(s3, root, "drive")
    check_data(f"{name}:{there}")
    assert named_source(there) == f"{name}:{there}"
    (local,) = open_logs(f"{name}:{root}", image_size_px=(48, 64))
    (log,) = open_logs(there, image_size_px=(48, 64))
    assert (log.name, len(log)) == (local.name, len(local))
    for index in range(len(log)):
        same(log[index], local[index])
        assert not any("no such" in fault for fault in log[index].faults)


def test_data_sets_of_this_machine_are_not_looked_for(monkeypatch):
    """Looking for them lists every folder of a drive, down to four levels."""
    system = fsspec.filesystem("memory")
    for path in ("/logs/val/one/sync.arrow", "/logs/training/oxts/0000.txt"):
        system.pipe(path, b"x")
    listed = []
    ls = type(system).ls
    monkeypatch.setattr(
        type(system), "ls", lambda self, path, **o: listed.append(path) or ls(self, path, **o)
    )
    try:
        assert named_source("memory://logs") == "folder:memory://logs"
        assert not [path for path in listed if "one" in path or "oxts" in path]
    finally:
        system.rm("/logs", recursive=True)


def test_a_file_that_is_missing_is_a_failed_sensor(s3, tmp_path):
    drive = test_nuscenes.Drive(tmp_path / "drive").write()
    drive.file("CAM_BACK1").unlink()
    (log,) = open_logs(f"nuscenes:{upload(s3, drive.root, 'drive')}", image_size_px=(48, 64))
    (fault,) = log[1].faults
    assert fault == "CAM_BACK: samples/CAM_BACK/CAM_BACK1.jpg: no such file"


def test_a_folder_that_is_not_there_is_refused(s3):
    with pytest.raises(ValueError, match="there is no folder 's3://drives/nothing'"):
        check_data("nuscenes:s3://drives/nothing")


def test_content_is_fetched_once_and_again_where_it_has_changed(s3, monkeypatch):
    s3.pipe(f"{BUCKET}/one.bin", b"first")
    path = source_path(f"{BUCKET}/one.bin")
    with noting_files() as notes:
        assert read_bytes(path) == b"first"
    assert are_unchanged(notes)
    system = fsspec.filesystem("s3")
    fetch = system.cat_file
    monkeypatch.setattr(system, "cat_file", lambda *_: pytest.fail("was fetched again"))
    assert read_bytes(path) == b"first"
    monkeypatch.setattr(system, "cat_file", fetch)
    s3.pipe(f"{BUCKET}/one.bin", b"other")  # of the same size
    fsspec.filesystem("s3").invalidate_cache()
    assert read_bytes(path) == b"other"
    assert not are_unchanged(notes)


@pytest.mark.usefixtures("s3")
def test_names_of_objects_do_not_lead_out_of_their_folder(monkeypatch):
    names = [f"drives/a/{name}" for name in ("..", ".", "", "good.txt")]
    monkeypatch.setattr(fsspec.filesystem("s3"), "ls", lambda *_, **__: names)
    found = [path.name for path in source_path(f"{BUCKET}/a").iterdir()]
    assert found == ["good.txt"]


def test_a_server_that_refuses_is_one_line_with_the_remedy(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    path = source_path(f"{BUCKET}/two.bin")
    with pytest.raises(SensorError, match=r"cannot be fetched \(.*read from the environment"):
        read_bytes(path)
    fsspec.filesystem("s3").clear_instance_cache()


@pytest.mark.parametrize(
    ("location", "error", "words"),
    [
        ("s3://key:secret@bucket/x", ValueError, r"s3://\.\.\.: an address must hold no cred"),
        ("nothing://x", ValueError, "no protocol that fsspec has; use one of: s3"),
    ],
)
def test_a_wrong_address_is_refused(location, error, words):
    with pytest.raises(error, match=words) as raised:
        source_path(location)
    assert "secret" not in str(raised.value)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    _registry.pop("s3", None)
    with pytest.raises(MissingExtraError, match=r"needs s3fs.*pip install 'leapai\[remote\]'"):
        source_path("s3://bucket/x")


def test_a_local_path_stays_one():
    assert type(source_path("~/x")) is type(Path())
    assert source_path("~/x") == Path.home() / "x"


def test_parts_of_a_remote_path_are_those_of_its_address():
    path = RemotePath("s3://bucket/a") / "b" / "c.jpg"
    assert str(path) == "s3://bucket/a/b/c.jpg"
    assert (path.name, path.stem, path.suffix) == ("c.jpg", "c", ".jpg")
    assert str(path.parent) == "s3://bucket/a/b"
    assert path.is_relative_to(RemotePath("s3://bucket/a"))
    assert str(path.relative_to(RemotePath("s3://bucket/a"))) == "b/c.jpg"
    assert path == RemotePath("s3://bucket/a/b/c.jpg")


@pytest.fixture
def copies(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAPAI_CACHE", str(tmp_path))
    monkeypatch.setenv("LEAPAI_REMOTE_CACHE_GB", "1e-5")  # 10 000 bytes
    monkeypatch.setattr(FileCopies, "_written", 0)
    return FileCopies()


def test_copies_stay_within_their_bound_and_the_last_used_stay(copies, tmp_path):
    for number in range(40):
        copies.put(f"{number}", bytes(1000))
        os.utime(copies._path(f"{number}"), ns=(number + 2, number + 2))
        if number > 2:
            os.utime(copies._path("2"), ns=(10**9, 10**9))  # used again and again
        kept = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        assert kept <= 10_000
    assert copies.get("2") is not None
    assert copies.get("39") is not None
    assert copies.get("0") is None


def test_a_damaged_copy_is_none(copies):
    copies.put("a", b"abc")
    path = copies._path("a")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert copies.get("a") is None


def test_what_is_larger_than_the_bound_is_not_kept(copies):
    copies.put("a", bytes(9_500))
    assert copies.get("a") is None


def test_a_bound_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv(file_copies.VARIABLE, "much")
    with pytest.raises(ValueError, match="LEAPAI_REMOTE_CACHE_GB = 'much' must be a number"):
        FileCopies()

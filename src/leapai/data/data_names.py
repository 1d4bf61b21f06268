"""Names of data sets: those that are installed, and checks of what a user names.

Nothing of a data set is imported here, so a wrong name or a missing folder is reported at once.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from leapai.config.untrusted_data import ENTRY_POINTS, UNTRUSTED
from leapai.data.remote_files import RemotePath, local_path, source_path

TABLES = {
    "nuscenes": ("v1.0-*/sample.json",),
    "argoverse2": tuple(f"{depth}city_SE3_egovehicle.feather" for depth in ("", "*/", "*/*/")),
    "kitti": (
        *(f"{split}oxts/{4 * '[0-9]'}.txt" for split in ("", "training/", "testing/")),
        *(f"{depth}oxts/timestamps.txt" for depth in ("", "*_sync/", "*/*_sync/")),
        *(f"{depth}*_extract/oxts/timestamps.txt" for depth in ("", "*/")),
    ),
    "py123d": tuple(f"{depth}sync.arrow" for depth in ("", "*/", "*/*/", "*/*/*/")),
}
"""Data sets whose location begins with a folder, up to a comma -> files by which that folder is
recognised where data is a bare path."""
_OF_THIS_MACHINE = ("kitti", "py123d")
"""Data sets that are not read from another one, where looking for their files takes long."""

BAG_SUFFIXES = (".mcap", ".db3")
"""Files of ROS 2 bags."""
BAG_METADATA = "metadata.yaml"
"""The file by which the folder of a bag is recognised."""
CALIBRATION_NAMES = ("calibration.toml", "calibration.json")
"""Files by which a folder of sensor files, or of drives that share a rig, is recognised."""


def installed_data_sets() -> dict[str, EntryPoint]:
    """Returns the entry points of all installed data sets by name. Raises ValueError where two
    packages use one name."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ValueError(
                f"two installed packages have a data set '{point.name}' ({other.value} and "
                f"{point.value}); uninstall one of them"
            )
    return found


def function_of(data: str) -> tuple[str, str, str]:
    """Returns module, function and location of `module:function:location`.

    Raises ValueError, with the data sets there are, for anything else, and for a function that a
    file names.
    """
    name, _, rest = data.partition(":")
    if name == UNTRUSTED:
        raise ValueError(
            f"data '{rest}' is named in a file, a checkpoint or a run, and no installed data set; "
            "it may be a function to call, which no file may ask for: if you trust it, say "
            f"--data {rest}"
        )
    function, colon, location = rest.partition(":")
    is_module = all(part.isidentifier() for part in name.split("."))
    if not colon or not function.isidentifier() or not is_module:
        known = ", ".join(sorted(installed_data_sets())) or "none"
        raise ValueError(
            f"data '{data}': there is no data set '{name}'; use one of those installed: {known}; "
            "or name a folder or file that exists, or a function of your own as "
            "module:function:location"
        )
    return name, function, location


def named_source(data: str) -> str:
    """Returns `data` with the name of its data set where it is a bare path: `nuscenes:ROOT` or
    `argoverse2:ROOT` where the tables of these lie there, `rosbag:PATH` for a bag of ROS 2 or a
    folder of them without a calibration file, else `folder:PATH`.

    Options may follow the path after a comma. What is no path that exists is returned as it is.
    """
    if data.partition(":")[0] in installed_data_sets():
        return data
    given, comma, options = data.partition(",")
    path = source_path(given)
    if not given or not path.exists():
        return data
    return f"{_data_set_of(path)}:{path}{comma}{options}"


def _data_set_of(path: Path) -> str:
    """Returns the name of the data set whose tables lie in the folder."""
    is_remote = isinstance(path, RemotePath)
    for name, tables in TABLES.items():
        if is_remote and name in _OF_THIS_MACHINE:
            continue
        if any(next(path.glob(table), None) is not None for table in tables):
            return name
    if _has_calibration(path):  # a recording may lie next to sensor files
        return "folder"
    return "rosbag" if bags_at(path) else "folder"


def local_tables(location: str, data_set: str) -> list[Path]:
    """Returns the files by which a data set is recognised at a location on this machine, in order
    of their places and names. Raises ValueError for an address of another machine."""
    root = local_path(location, data_set)
    return [path for table in TABLES[data_set] for path in sorted(root.glob(table))]


def _has_calibration(path: Path) -> bool:
    """Returns whether a calibration file lies in a folder or in one of its folders."""
    places = (f"{depth}{name}" for depth in ("", "*/") for name in CALIBRATION_NAMES)
    return any(next(path.glob(place), None) is not None for place in places)


def bags_at(path: Path) -> list[Path]:
    """Returns the bag of ROS 2 at a path, or those in a folder, in order of their names."""
    if _is_bag(path):
        return [path]
    return sorted(inner for inner in path.iterdir() if _is_bag(inner)) if path.is_dir() else []


def _is_bag(path: Path) -> bool:
    return (path / BAG_METADATA).is_file() or (path.is_file() and path.suffix in BAG_SUFFIXES)


def check_data(data: str) -> None:
    """Raises ValueError where no data set has the name, or the folder it should be read from does
    not exist."""
    name, _, location = named_source(data).partition(":")
    if name not in installed_data_sets():
        function_of(data)
        return
    root = location.split(",")[0]
    if name in TABLES and not source_path(root).is_dir():
        raise ValueError(f"data '{data}': there is no folder '{root}'; name that of the data set")

"""The folder of a stress run: what `leapai stress` writes, and reading it back.

`settings.json`          what the results depend on; written first
`config.json`            the configuration in full
`conditions/NAME.json`   the result of each condition, kept as soon as it is there
`worst/NAME.webp`        the frame that lost most under a condition
`stress.parquet`         a row for each condition
`stress.json`            the summary: relative scores, weights, data, versions; written last
`report.html`            the page
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from leapai.config.schema import TaskConfig
from leapai.folders import inside, sole_user
from leapai.io import printable, whole_file, write_text
from leapai.runs.run_files import CONDITIONS, PREDICTION, STRESS
from leapai.runs.stress_results import (
    CLEAN,
    WORST,
    ConditionResult,
    StressRun,
    StressSettings,
    StressSummary,
)

SETTINGS, TABLE = "settings.json", "stress.parquet"
_AGAIN = "run `leapai stress` again, with --anew"
_T = TypeVar("_T")


@contextmanager
def begun_stress(folder: Path, settings: StressSettings, *, anew: bool) -> Iterator[None]:
    """Makes the folder and holds it for this process alone, as long as the block runs. Results of
    the same settings in it stay; `anew` removes them.

    Raises ValueError where it holds results of other settings, the run of another command, or files
    that are not a run's, and where another process holds it.
    """
    with sole_user(folder):
        if anew:
            _remove_results(folder)
        for name in ("run.json", PREDICTION):
            if (folder / name).is_file():
                raise ValueError(
                    f"{folder}: holds a run of another command ({name}); name another folder with "
                    "--output"
                )
        if (folder / SETTINGS).is_file():
            _check_settings(folder, settings)
        (folder / STRESS).unlink(missing_ok=True)
        write_text(folder / SETTINGS, json.dumps(asdict(settings), indent=2) + "\n")
        for name in (CONDITIONS, WORST):
            (folder / name).mkdir(exist_ok=True)
        yield


def _remove_results(folder: Path) -> None:
    for name in (SETTINGS, STRESS, TABLE):
        (folder / name).unlink(missing_ok=True)
    for pattern in (f"{CONDITIONS}/*.json", f"{WORST}/*.webp"):
        for path in folder.glob(pattern):
            path.unlink()


def _check_settings(folder: Path, settings: StressSettings) -> None:
    """Raises ValueError where the folder holds results of other settings."""
    kept = _read_json(folder, SETTINGS, TypeAdapter(StressSettings))
    changed = [
        f"{field.name} was {_shown(getattr(kept, field.name))} and is "
        f"{_shown(getattr(settings, field.name))}"
        for field in fields(StressSettings)
        if getattr(kept, field.name) != getattr(settings, field.name)
    ]
    if changed:
        raise ValueError(
            f"{folder}: holds a stress run of other settings ({'; '.join(changed)}); name another "
            "folder with --output, or begin it again with --anew"
        )


def _shown(value: object) -> str:
    return printable(str(value))[:80]


def keep_result(folder: Path, result: ConditionResult, picture_webp: bytes | None) -> None:
    """Writes the result of a condition, and the picture of its worst frame."""
    picture = folder / WORST / f"{result.name}.webp"
    if picture_webp is None:
        picture.unlink(missing_ok=True)
    else:
        with whole_file(picture, durable=False) as temporary:
            temporary.write_bytes(picture_webp)
    text = json.dumps(asdict(result), indent=2)
    write_text(folder / CONDITIONS / f"{result.name}.json", text + "\n")


def kept_result(folder: Path, name: str) -> ConditionResult | None:
    """Returns the result of a condition that an earlier run kept; None where there is none that
    can be read."""
    path = inside(folder, f"{CONDITIONS}/{name}.json")
    if path is None:
        return None
    try:
        result = TypeAdapter(ConditionResult).validate_json(path.read_bytes())
    except ValidationError:
        return None
    return result if result.name == name else None


def write_stress(
    folder: Path, config: TaskConfig, summary: StressSummary, results: Sequence[ConditionResult]
) -> None:
    """Writes the table of all conditions, the configuration and the summary."""
    write_text(folder / "config.json", config.model_dump_json(indent=2) + "\n")
    _write_table(folder / TABLE, results)
    write_text(folder / STRESS, json.dumps(asdict(summary), indent=2) + "\n")


def _write_table(path: Path, results: Sequence[ConditionResult]) -> None:
    import pyarrow.parquet as pq

    from leapai.runs.stress_table import stress_table

    with whole_file(path) as temporary:
        pq.write_table(stress_table(results), temporary)


def read_stress(folder: Path) -> StressRun:
    """Reads a finished stress run. Raises ValueError with one line: what is missing, or cannot be
    read."""
    summary = _read_json(folder, STRESS, TypeAdapter(StressSummary))
    config = _read_json(folder, "config.json", TypeAdapter(TaskConfig))
    names = _names_in_table(folder)
    results = [kept_result(folder, name) for name in names]
    broken = [name for name, result in zip(names, results, strict=True) if result is None]
    if broken or names[:1] != [CLEAN]:
        missing = broken[0] if broken else CLEAN
        raise ValueError(
            f"{folder}: the result of {printable(missing)[:80]} is missing or broken; run "
            "`leapai stress` again, which makes it"
        )
    return StressRun(folder, config, summary, tuple(result for result in results if result))


def _names_in_table(folder: Path) -> list[str]:
    from leapai.runs.parquet_files import read_parquet

    path = inside(folder, TABLE)
    if path is None:
        raise ValueError(f"{folder}: {TABLE} is missing; {_AGAIN}")
    try:
        return [str(name) for name in read_parquet(path)["condition"].to_pylist()]
    except (ValueError, LookupError) as error:
        raise ValueError(f"{path}: {error}; {_AGAIN}") from None


def _read_json(folder: Path, name: str, kind: TypeAdapter[_T]) -> _T:
    path = inside(folder, name)
    if path is None:
        raise ValueError(f"{folder}: {name} is missing, or a link that leads out of it; {_AGAIN}")
    try:
        return kind.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f"{place}: " if place else ""
        raise ValueError(
            f"{path}: {where}{first['msg']}: the file is broken, or of another version of leapai; "
            f"{_AGAIN}"
        ) from None

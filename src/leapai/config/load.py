"""A configuration file becomes a `TaskConfig`, or one clear line that says why not."""

from __future__ import annotations

import difflib
import runpy
import sys
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from rich.pretty import pretty_repr

from leapai.config.schema import TaskConfig

CONFIG_VARIABLE = "LEAPAI_TASK_CONFIG"


class ConfigError(ValueError):
    """A configuration that cannot be used. The message is one line: file, variable, value,
    remedy."""


def load_config(path: str | Path) -> TaskConfig:
    """The checked configuration of a Python file.

    Raises ConfigError for a missing file, an error in it, an unknown name, a wrong type, a
    contradiction.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file; name a task configuration")
    values = _variables(path)
    try:
        return TaskConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_one_line(error)}") from None


def explain(config: TaskConfig) -> str:
    """The resolved configuration as Python variables, defaults included: itself a valid
    configuration."""
    values = config.model_dump()
    return "".join(f"{name} = {pretty_repr(value)}\n" for name, value in values.items())


def _variables(path: Path) -> dict[str, Any]:
    """Top-level variables of the file; what starts with an underscore and modules are its own
    business."""
    with _siblings_importable(path):
        try:
            values = runpy.run_path(str(path))
        except Exception as error:
            raise ConfigError(f"{_where(error, path)}: {_what(error)}") from error
    return {
        name: value
        for name, value in values.items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }


@contextmanager
def _siblings_importable(path: Path) -> Iterator[None]:
    """Lets a configuration import the one beside it, and forgets both afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.path.pop(0)
        siblings = {p.stem for p in path.resolve().parent.glob("*.py")}
        for name in (set(sys.modules) - before) & siblings:
            del sys.modules[name]


def _where(error: Exception, path: Path) -> str:
    """File and line of the error: in the configuration, or in one beside it that it imports."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}:{error.lineno}"
    folder = path.resolve().parent
    lines = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve().parent == folder
    ]
    return lines[-1] if lines else str(path)


def _what(error: Exception) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {message}".replace("\n", " ")


def _one_line(error: ValidationError) -> str:
    """The first problem; how many more there are. Unknown names come first: the variable that a
    misspelt one leaves missing is no news."""
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return _problem(problems[0]) + more


def _problem(problem: ErrorDetails) -> str:
    location = [part for part in problem["loc"] if part != "[key]"]
    name = ".".join(str(part) for part in location)
    value = repr(problem["input"])
    value = value if len(value) <= 80 else value[:77] + "..."
    if problem["type"] == "extra_forbidden":
        return f"{name} = {value}: unknown name{_nearest(location)}"
    if problem["type"] == "missing":
        return f"{name} is missing; every configuration must set it"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if problem["type"] == "value_error":  # a contradiction: its message names variables and values
        return f"{name}: {message}" if name else message
    return f"{name} = {value}: {message[0].lower()}{message[1:]}"


def _nearest(location: list[int | str]) -> str:
    """`; did you mean ...?` among the names of the section the unknown one stands in."""
    section: type[BaseModel] = TaskConfig
    for part in location[:-1]:
        section = _section(section, str(part))
    names = list(section.model_fields)
    close = difflib.get_close_matches(str(location[-1]), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; valid names: {', '.join(names)}"


def _section(section: type[BaseModel], name: str) -> type[BaseModel]:
    annotation = section.model_fields[name].annotation
    options = [annotation, *get_args(annotation)]
    return next(t for t in options if isinstance(t, type) and issubclass(t, BaseModel))

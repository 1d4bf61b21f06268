"""Problems of a configuration, each as one line: variable, value, remedy."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:  # not imported when a command starts
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails


class ConfigError(ValueError):
    """A configuration that cannot be used. The message is one line: file, variable, value,
    remedy."""


def one_line(error: ValidationError, schema: type[BaseModel]) -> str:
    """Returns the first problem with `schema`, and how many more there are.

    Unknown names come first: the variable that a misspelt one leaves missing is no news.
    """
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return _problem(problems[0], schema) + more


def _problem(problem: ErrorDetails, schema: type[BaseModel]) -> str:
    location = [part for part in problem["loc"] if part != "[key]"]
    name = ".".join(_printable(str(part)) for part in location)
    value = repr(problem["input"])
    value = value if len(value) <= 80 else value[:77] + "..."
    if problem["type"] == "extra_forbidden":
        return f"{name} = {value}: unknown name{_nearest(location, schema)}"
    if problem["type"] == "missing":
        return f"{name} is missing; every configuration must set it"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if problem["type"] == "value_error":  # a contradiction: its message names variables and values
        return f"{name}: {message}" if name else message
    return f"{name} = {value}: {message[0].lower()}{message[1:]}"


def _printable(name: str) -> str:
    """Returns a name that a file may have, at most 80 characters that can be printed."""
    return (name if name.isprintable() else ascii(name)[1:-1])[:80]


def _nearest(location: list[int | str], schema: type[BaseModel]) -> str:
    """Returns `; did you mean ...?` among the names of the section that has the unknown one."""
    for part in location[:-1]:
        if isinstance(part, str):  # the number of an entry in a list names no section
            schema = _section(schema, part)
    names = list(schema.model_fields)
    close = difflib.get_close_matches(str(location[-1]), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; valid names: {', '.join(names)}"


def _section(schema: type[BaseModel], name: str) -> type[BaseModel]:
    annotation = schema.model_fields[name].annotation
    options: list[Any] = [annotation, *get_args(annotation)]
    section: type[BaseModel] = next(t for t in options if hasattr(t, "model_fields"))
    return section

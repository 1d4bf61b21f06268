"""Turns a configuration file into a `TaskConfig`, or into one clear line on what is wrong."""

from __future__ import annotations

import runpy
import sys
import traceback
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from leapai.config.config_files import SHIPPED, existing_config
from leapai.config.problems import ConfigError, one_line
from leapai.config.schema import TaskConfig

TYPED = "config"
"""A file either sets this name to a `TaskConfig` or sets the variables themselves."""


def load_config(path: str | Path) -> TaskConfig:
    """Returns the checked configuration of a Python file, or of the shipped one of that name.

    Raises ConfigError for a missing file, an error in it, an unknown name, a wrong type, a
    contradiction.
    """
    path = existing_config(path)
    return _checked(_executed(path), path)


def explain(config: TaskConfig) -> str:
    """Returns the resolved configuration as Python variables, defaults included: itself a valid
    configuration."""
    from rich.pretty import pretty_repr

    values = config.model_dump()
    return "".join(f"{name} = {pretty_repr(value)}\n" for name, value in values.items())


def _executed(path: Path) -> dict[str, Any]:
    """Returns all names of the file after it ran."""
    with _siblings_importable(path):
        try:
            return runpy.run_path(str(path))
        except (Exception, SystemExit) as error:
            raise ConfigError(f"{_where(error, path)}: {_what(error)}") from error


def _checked(names: Mapping[str, Any], path: Path) -> TaskConfig:
    """Returns the configuration in the names of a file.

    Names that begin with an underscore and modules are the file's own business.
    """
    values = {
        name: value
        for name, value in names.items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    if TYPED in values:
        return _typed(values, path)
    try:
        return TaskConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {one_line(error, TaskConfig)}") from None


def _typed(values: Mapping[str, Any], path: Path) -> TaskConfig:
    """Returns `config` of a file that sets it; types, functions and other configurations that the
    file imports for it are its own business."""
    config = values[TYPED]
    if not isinstance(config, TaskConfig):
        raise ConfigError(
            f"{path}: {TYPED} = {config!r:.80}: must be a TaskConfig, for example "
            f"{TYPED} = base.replace(...)"
        )
    for name, value in values.items():
        if name != TYPED and not callable(value) and not isinstance(value, TaskConfig):
            raise ConfigError(
                f"{path}: sets both {TYPED} and {name}: write {TYPED} = base.replace({name}=...), "
                f"or variables without {TYPED}; begin helper names with an underscore"
            )
    return config


@contextmanager
def _siblings_importable(path: Path) -> Iterator[None]:
    """Lets a configuration import those in its folder and the shipped ones, and forgets them
    afterwards."""
    folder = path.resolve().parent
    before, finder = set(sys.modules), _Siblings((folder, SHIPPED))
    sys.path.insert(0, str(folder))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.path.remove(str(folder))
        siblings = {p.stem for place in (folder, SHIPPED) for p in place.glob("*.py")}
        for name in (set(sys.modules) - before) & siblings:
            del sys.modules[name]


class _Siblings:
    """Import finder of the configurations in some folders; of one name the first is taken."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Returns how to load the file of that name in the folders, if there is one."""
        files = [folder / f"{fullname}.py" for folder in self._folders]
        file = next((str(file) for file in files if file.is_file()), None)
        if path is not None or file is None:
            return None
        return spec_from_file_location(fullname, file, loader=_SiblingLoader(fullname, file))


class _SiblingLoader(SourceFileLoader):
    """Loads a configuration for another one that imports it.

    `from base import config` then gives its checked, typed form, even where it sets variables only.
    """

    def exec_module(self, module: types.ModuleType) -> None:
        """Runs the file."""

        def attribute(name: str) -> TaskConfig:
            if name == TYPED:
                return _checked(vars(module), Path(self.path))
            raise AttributeError(f"module '{module.__name__}' has no attribute '{name}'")

        super().exec_module(module)
        vars(module).setdefault("__getattr__", attribute)


def _where(error: BaseException, path: Path) -> str:
    """Returns file and line of the error: in the configuration, or in one that it imports."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}:{error.lineno}"
    folders = (path.resolve().parent, SHIPPED)
    lines = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve().parent in folders
    ]
    return lines[-1] if lines else str(path)


def _what(error: BaseException) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, ValidationError):
        return one_line(error, TaskConfig)
    if isinstance(error, SystemExit):
        return f"it ends the program (status {error.code}); a configuration only sets variables"
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {message}".replace("\n", " ")

"""Where things are: the project's folder, the spec files, and paths as they are printed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.errors import MessagesError, Place, Problem, SurroundingsError

CONFIG_NAME = "runner.yaml"
MESSAGES_NAME = "messages"
SPEC_SUFFIXES = (".yaml", ".yml")


def shown(path: Path) -> str:
    """Name a path as output does: relative to the current folder if below it, forward slashes."""
    absolute = Path(os.path.normpath(Path.cwd() / path))
    try:
        return absolute.relative_to(Path.cwd()).as_posix()
    except ValueError:
        relative = os.path.relpath(absolute) if absolute.anchor == Path.cwd().anchor else absolute
        near = Path(relative)
        return near.as_posix() if len(near.parts) <= len(absolute.parts) else absolute.as_posix()


def find_project(start: Path) -> Path | None:
    """Find the nearest folder, from `start` upwards, with a `runner.yaml` or a `messages/`."""
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file() or (folder / MESSAGES_NAME).is_dir():
            return folder
    return None


def find_specs(paths: Sequence[Path]) -> list[Path]:
    """List the spec files that these files and folders name, each once, in a stable order.

    In folders, names that start with `_` or `.` are passed over; a file given by name never is.
    Raises `SurroundingsError` for a path that is not there or when nothing is found.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_symlink() and path.exists():
            _check_inside(path, path.absolute().parent)
        if path.is_dir():
            found.update(dict.fromkeys(_specs_below(path)))
        elif path.is_file():
            found[path.absolute()] = None
        elif path.exists() or path.is_symlink():
            raise SurroundingsError(f"{shown(path)}: neither a file nor a folder")
        else:
            raise SurroundingsError(f"{shown(path)}: no such file or folder")
    if not found:
        where = ", ".join(shown(path) for path in paths)
        raise SurroundingsError(f"no message found in {where}: a message is a .yaml or .yml file")
    return list(found)


def _specs_below(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder.absolute(), onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(("_", ".")))
        for name in sorted(names):
            if name.lower().endswith(SPEC_SUFFIXES) and not name.startswith(("_", ".")):
                path = Path(here, name)
                _check_inside(path, folder)
                yield path


def _refuse(error: OSError) -> None:
    raise SurroundingsError(f"{error.filename}: cannot be listed: {error.strerror}") from error


def _check_inside(path: Path, folder: Path) -> None:
    # A pull request can hold a link to any file of the machine that checks it out.
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        what = "is a link to a file outside the folder"
        raise MessagesError([Problem(Place(shown(path)), what, "put the file itself here")])


def find_data_file(name: str, spec: Path, root: Path | None) -> Path:
    """Find a data file beside its spec; raises `ValueError` with the reason why it will not do.

    It must be a regular file under `root` (the spec's folder where there is none) by its real
    path, with no link, hidden or `_` part.
    """
    if "\\" in name or ":" in name or name.startswith("/"):
        raise ValueError("write a path relative to this file, with forward slashes")
    folder = Path(os.path.normpath(spec.absolute().parent))
    top = root if root is not None and folder.is_relative_to(root) else folder
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(top):
        raise ValueError(f"a data file lives under {shown(top)}")
    below = path.relative_to(top)
    if any(part.startswith(("_", ".")) for part in below.parts):
        raise ValueError("a data file has no hidden or _ part in its path")
    if path.resolve() != top.resolve() / below:
        raise ValueError("a link is not followed: put the file itself here")
    if not path.is_file():
        raise ValueError("there is no such file")
    return path

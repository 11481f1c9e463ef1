"""Where things are: the project's folder, the spec files, the data files beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from runner.errors import Place, Problem, SurroundingsError
from runner.wording import nearest, shown, why

CONFIG_NAME = "runner.yaml"
MESSAGES_NAME = "messages"
SPEC_SUFFIXES = (".yaml", ".yml")
_LIKE_SPECS = (".yaml.txt", ".yml.txt", ".json")
_MESSAGE_IN_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{.*"(?:topic|text)"\s*:', re.DOTALL)
_LIKE_CONFIG = frozenset({CONFIG_NAME, "runner.yml", "runner.yaml.txt", "runner.yml.txt"})
# Windows has no file or folder of these names, whatever their ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)", re.IGNORECASE)


def find_project(start: Path) -> Path | None:
    """Find the nearest folder, from `start` upwards, with a `runner.yaml` or a `messages/`.

    Refuses a file that somebody takes for the configuration.
    """
    for folder in (start, *start.parents):
        for name in sorted(_names(folder)):
            # With it a policy would be ignored.
            if name != CONFIG_NAME and name.casefold() in _LIKE_CONFIG:
                where = shown(folder / name)
                raise SurroundingsError(f"{where} is not read: call it {CONFIG_NAME}, or otherwise")
        config = folder / CONFIG_NAME
        # A folder counts too, and a link that leads nowhere: neither may switch the policy off.
        if os.path.lexists(config) or (folder / MESSAGES_NAME).is_dir():
            return folder
    return None


def find_specs(
    paths: Sequence[Path], warn: Callable[[Problem], object] = lambda _: None
) -> list[Path]:
    """List the spec files that these files and folders name, each once, in a stable order.

    In folders, names that start with `_` or `.` are passed over; a file given by name never is.
    `warn` is told of files in the folders that only look like specs, or have a name that not every
    system can hold, and of errors: files that no message can be in. Raises `SurroundingsError` for a
    path that is not there or when nothing is found.
    """
    found: dict[Path, None] = {}
    unfit: list[Problem] = []
    names = cache(_names)
    for path in map(_plainly, paths):
        try:
            named = list(_named(path, names, warn))
        except OSError as error:
            # Its name is too long, say, or a folder on the way to it is closed.
            raise SurroundingsError(f"{shown(path)}: {why(error, path)}") from error
        for each, folder in named:
            what, hint = _why_unfit(each, folder)
            if what:
                # Such a name may be no text that can be printed.
                where = Place(shown(each).encode("utf-8", "backslashreplace").decode())
                unfit.append(Problem(where, what, hint))
            else:
                found[each] = None
    for problem in unfit:
        warn(problem)
    if not found and not unfit:
        said = ", ".join(shown(path) for path in paths)
        raise SurroundingsError(f"no message found in {said}: a message is a .yaml or .yml file")
    return list(found)


def _plainly(path: Path) -> Path:
    """The absolute path without `..`, as the messages root has it, where no link leads elsewhere."""
    absolute = path.absolute()
    plain = Path(os.path.normpath(absolute))
    return plain if plain == absolute or real(plain) == real(absolute) else absolute


def as_below(root: Path, path: Path) -> Path:
    """A path as the messages root has it, where a link on the way to both leads to the root."""
    absolute = path.absolute()
    for folder in () if absolute.is_relative_to(root) else (absolute, *absolute.parents):
        with suppress(OSError):
            if folder.samefile(root):
                return root / absolute.relative_to(folder)
    return path


def has_specs(folder: Path) -> bool:
    """Whether a folder, which need not be there, has a spec file anywhere below."""
    return any(path.suffix.lower() in SPEC_SUFFIXES for path in folder.rglob("*"))


def list_specs(folder: Path) -> list[Path]:
    """List the spec files of a folder as `find_specs` does; there may be none."""
    return list(dict.fromkeys(_specs_below(folder, lambda _: None)))


def _named(
    path: Path, names: Callable[[Path], frozenset[str]], warn: Callable[[Problem], object]
) -> Iterator[tuple[Path, Path]]:
    """List the files that a path names, each with the folder that it must not lead out of."""
    parent = path.absolute().parent
    if path.is_symlink() and path.exists() and _why_unfit(path, parent)[0]:
        yield path, parent
    elif path.is_dir():
        yield from ((each, path) for each in _specs_below(path, warn))
    elif path.is_file():
        listed = as_listed(path.absolute(), names)
        yield listed, listed.parent
    elif path.exists() or path.is_symlink():
        raise SurroundingsError(f"{shown(path)}: neither a file nor a folder")
    else:
        guess = nearest(path.name, names(path.parent))
        hint = f": did you mean {shown(path.with_name(guess))}?" if guess else ""
        raise SurroundingsError(f"{shown(path)}: no such file or folder{hint}")


def _specs_below(folder: Path, warn: Callable[[Problem], object]) -> Iterator[Path]:
    for here, folders, names in os.walk(folder.absolute(), onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(("_", ".")))
        ours = sorted(name for name in names if not name.startswith(("_", ".")))
        specs = [name for name in ours if name.lower().endswith(SPEC_SUFFIXES)]
        for name, what, hint in (
            *_unfollowed(here, folders),
            *_unread(here, ours),
            *_unportable([*specs, *folders]),
        ):
            where = Place(shown(Path(here, name)))
            warn(Problem(where, what, hint, rule="name", severity="warning"))
        yield from (Path(here, name) for name in specs)


def _unfollowed(folder: str, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for name in names:
        if Path(folder, name).is_symlink():
            hint = "put the folder itself here, or begin its name with _"
            yield name, "this is a link to a folder, and is not followed", hint


def _unread(folder: str, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for name in names:
        if name.lower().endswith(_LIKE_SPECS):
            path = Path(folder, name)
            if not name.lower().endswith(".json") or _holds_a_message(path):
                hint = "call it .yaml, which takes JSON too, or begin its name with _"
                yield name, "this file is not read: a message is a .yaml or .yml file", hint


def _holds_a_message(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return _MESSAGE_IN_JSON.match(stream.read(10_000)) is not None
    except OSError:
        return False


def _unportable(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    seen: dict[str, str] = {}
    for name in names:
        hint = "rename it; an `id:` keeps the name that it was sent under"
        if _DEVICE.match(name):
            yield name, "Windows has nothing of this name", hint
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            yield name, f"Windows and macOS take this and {other} for one", hint


def _refuse(error: OSError) -> None:
    path = Path(str(error.filename))
    raise SurroundingsError(f"{shown(path)}: cannot be listed: {why(error, path)}") from error


def _why_unfit(path: Path, folder: Path) -> tuple[str, str]:
    """Say why a message cannot be in a file, and what helps; nothing if it can."""
    try:
        shown(path).encode()
    except UnicodeEncodeError:
        # Such a name can be written into no results file and no manifest.
        return "the name of this file or of its folder is not UTF-8", "rename it"
    if path.is_symlink() and not real(path).is_relative_to(real(folder)):
        # A pull request can hold a link to any file of the machine that checks it out.
        return "this is a link to a file outside the folder", "put the file itself here"
    if path.exists() and not (path.is_file() or path.is_dir()):
        # Reading a pipe would wait for a writer for ever, and reading a device would never end.
        return "this is a pipe or a device, not a file", "put the file itself here"
    return "", ""


def real(path: Path) -> Path:
    """Where a path leads; links in a circle lead nowhere and stay as they are.

    `Path.resolve` raises for them, in some versions of Python.
    """
    return Path(os.path.realpath(path))


def has_link(path: Path, top: Path) -> bool:
    """Whether a path goes through a link anywhere below a folder."""
    # Unlike `Path.is_symlink`, this takes a name of any length.
    is_link = os.path.islink(path)  # noqa: PTH114
    return is_link or real(path) != real(top) / path.relative_to(top)


def as_listed(path: Path, names: Callable[[Path], frozenset[str]]) -> Path:
    """Spell a path as its folders list it: a message is named after its file, for ever.

    Windows and macOS open `may.yaml` by `MAY.yaml` too, and Windows by `may.yaml.` as well.
    `names` lists a folder; an empty list is one that cannot be had.
    """
    for above in (path, *path.parents):
        known = names(above.parent)
        if above.name in ("", "..") or not known or above.name in known:
            continue
        listed = next((name for name in known if _is_same(above.with_name(name), above)), None)
        if listed is not None:
            return as_listed(above.with_name(listed) / path.relative_to(above), names)
    return path


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(each.name for each in folder.iterdir())
    except OSError:
        return frozenset()


def _is_same(one: Path, other: Path) -> bool:
    # Asked of the file system only where it may be so: a folder may hold very many names.
    if _folded(one.name) != _folded(other.name):
        return False
    try:
        return one.samefile(other)
    except OSError:
        return False


def _folded(name: str) -> str:
    return name.casefold().rstrip(". ")


def find_data_file(name: str, spec: Path, root: Path | None, *, must_exist: bool = True) -> Path:
    """Find a data file beside its spec; raises `ValueError` with the reason why it will not do.

    It must be a regular file under `root` (the spec's folder where there is none) by its real
    path, with no link, hidden or `_` part.
    """
    check_portable(name)
    folder = Path(os.path.normpath(spec.absolute().parent))
    top = root if root is not None and folder.is_relative_to(root) else folder
    path = Path(os.path.normpath(folder / name))
    if not path.is_relative_to(top):
        raise ValueError(f"a data file lives under {shown(top)}")
    below = path.relative_to(top)
    if any(part.startswith(("_", ".")) for part in below.parts):
        raise ValueError("a data file has no hidden or _ part in its path")
    if has_link(path, top):
        raise ValueError("a link is not followed: put the file itself here")
    try:
        is_there = path.is_file()
    except OSError as error:
        raise ValueError(f"it cannot be had: {error.strerror}") from error
    if not is_there and (must_exist or path.exists()):
        guess = None if path.exists() else nearest(path.name, _names(path.parent))
        raise ValueError(
            f"there is no file {shown(path)}" + (f": did you mean {guess}?" if guess else "")
        )
    return path


def check_portable(name: str) -> None:
    """Refuse a path that another system would take for something else, `ValueError` with the reason.

    A spec must mean the same file on every machine that checks it out.
    """
    if "\\" in name or ":" in name or name.startswith("/"):
        raise ValueError("write a path relative to this file, with forward slashes")
    if not name.isprintable():
        raise ValueError("a path has no control characters")
    for part in name.split("/"):
        if part.endswith((".", " ")) and part not in (".", ".."):
            raise ValueError("Windows drops a dot or a space at the end of a name: rename the file")

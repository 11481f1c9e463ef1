"""Partials: the texts that templates include, and no file besides them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from runner import paths
from runner.errors import Place, Problem, Severity
from runner.files import TooLargeError, read_bounded
from runner.render.house_rules import CONFLICT
from runner.spec.characters import UNFIT, why_unfit
from runner.wording import quoted, shown

PARTIALS_NAME = "_partials"
MAX_PARTIAL_BYTES = 256 * 1024
_MAX_NAMES = 200


def read_partial(root: Path | None, name: str) -> dict[str, str | list[str]]:
    """Read `_partials/NAME`, or say which there are; nothing outside that folder can be reached."""
    path = _partial_path(root, name)
    if path is None:
        return {"names": _names(root)}
    try:
        text = read_bounded(path, MAX_PARTIAL_BYTES).decode("utf-8-sig")
    except TooLargeError:
        return {"wrong": f"{shown(path)} is larger than {MAX_PARTIAL_BYTES // 1024} KiB"}
    except OSError as error:
        return {"wrong": f"{shown(path)} cannot be read: {error.strerror}"}
    except UnicodeDecodeError:
        return {"wrong": f"{shown(path)} is not UTF-8"}
    text = text.replace("\r\n", "\n").removesuffix("\n")
    if bad := UNFIT.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        return {"wrong": f"{shown(path)}:{line}: {'; '.join(why_unfit(bad.group()))}"}
    return {"text": text}


def partial_texts(root: Path | None) -> Iterator[str]:
    """The texts of the partials that there are, as far as they can be read."""
    for name in _names(root):
        text = read_partial(root, name).get("text")
        if isinstance(text, str):
            yield text


def conflicts_in_partials(root: Path | None) -> frozenset[str]:
    """The marks of git that stand in some partial, as they are written."""
    return frozenset(each[0] for text in partial_texts(root) for each in CONFLICT.finditer(text))


def find_conflicts_in_partials(root: Path | None, severity: Severity) -> Iterator[Problem]:
    """Find what git leaves in a partial where two versions did not go together, used or not."""
    for name in _names(root):
        text = read_partial(root, name).get("text")
        if isinstance(text, str) and (found := CONFLICT.search(text)):
            where = Place(shown((root or Path()) / name), text.count("\n", 0, found.start()) + 1)
            what = f"{quoted(found[0])} is what git left there"
            yield Problem(where, what, "choose one of the two", "conflict-marker", severity)


def partial_files(root: Path) -> Iterator[Path]:
    """The partials that there are."""
    for folder, _, names in os.walk(root) if not root.is_symlink() else ():
        for name in names:
            path = Path(folder, name)
            if _partial_path(root, path.relative_to(root).as_posix()):
                yield path


def _names(root: Path | None) -> list[str]:
    """The partials that there are, as they are included; some of them where there are many."""
    if root is None:
        return []
    some = islice(partial_files(root), _MAX_NAMES)
    return sorted(path.relative_to(root).as_posix() for path in some)


def _partial_path(root: Path | None, name: str) -> Path | None:
    parts = name.split("/")
    if root is None or any(not part or part.startswith(".") for part in parts):
        return None
    path = root.joinpath(*parts)
    with suppress(OSError, RuntimeError, ValueError):
        paths.check_portable(name)
        # The folder itself may be a link, too: a pull request can hold one to anywhere.
        real = root.parent.resolve().joinpath(PARTIALS_NAME, *parts)
        if path.is_file() and path.resolve() == real:
            return path
    return None

"""The files on the results branch: their names, the chain of runs that they are, read in one pass."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from itertools import accumulate
from tempfile import SpooledTemporaryFile

from runner.errors import SurroundingsError
from runner.git import Entry, Repository
from runner.manifest.reading import DamageError, read_state
from runner.manifest.state import ManifestState
from runner.wording import printable

MOST = 1_000_000
"""Bytes of a file."""
_NAME = re.compile(
    r"(?P<run>(?P<host>[a-z0-9_.-]+)/[0-9]{4}/[0-9]{2}/"
    r"[0-9]{8}T[0-9]{6}Z-(?P<id>[0-9a-f]{16}))/(?P<number>[0-9]{4,6})\.jsonl"
)
_FIRST = "/0001.jsonl"
_IN_MEMORY = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunFiles:
    """A run's own folder: the ids of its files, in their order."""

    folder: str
    id: str
    files: tuple[str, ...]

    def path(self, number: int) -> str:
        return path_of(self.folder, number)


@dataclass(slots=True)
class Chain:
    """What the runs of one target have written, at one commit; None is a branch that is not there."""

    repository: Repository
    host: str
    commit: str | None
    state: ManifestState
    runs: dict[str, RunFiles] = field(default_factory=dict)

    @property
    def unended(self) -> dict[str, int]:
        """The runs that have neither ended nor been taken over, and how many files each has."""
        return {run: len(self.runs[run].files) for run in self.state.unended}

    @property
    def is_unborn(self) -> bool:
        """Whether nothing has been sent to this target by it, and nobody has said that it is so.

        The branch may be missing, made anew, or hold words of people and other targets only.
        """
        state = self.state
        return not (state.is_accepted or state.cursor is not None or state.rows)

    @property
    def last(self) -> str | None:
        """The run that the next one names as the one before it."""
        return next(reversed(self.state.runs), None)

    def move(self, commit: str) -> None:
        """Take in what others have written since, up to a later commit."""
        runs = list_runs(self.repository, commit, self.host)
        known = {run: len(files.files) for run, files in self.runs.items()}
        new = [
            (run.path(number), blob)
            for run in runs.values()
            for number, blob in enumerate(run.files, 1)
            if run.id != self.state.mine and number > known.get(run.id, 0)
        ]
        _read_files(self.repository, new, self.state)
        self.commit, self.runs = commit, runs


def run_folder(host: str, run: str, started: datetime) -> str:
    """Name the folder of a new run."""
    return f"{host}/{started:%Y/%m}/{started:%Y%m%dT%H%M%SZ}-{run}"


def path_of(folder: str, number: int) -> str:
    """Name a file of a run's; they count from 1."""
    return f"{folder}/{number:04}.jsonl"


def pieces(lines: bytes) -> Iterator[bytes]:
    """Cut lines into files, each below 1 MB unless one line alone is longer."""
    piece: list[bytes] = []
    size = 0
    for line in lines.splitlines(keepends=True):
        if piece and size + len(line) > MOST:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    yield b"".join(piece)


def list_runs(repository: Repository, commit: str | None, host: str) -> dict[str, RunFiles]:
    """List the runs of a target; raises `SurroundingsError` for anything on the ref not ours."""
    folders: dict[str, dict[int, str]] = defaultdict(dict)
    for entry in repository.files(commit) if commit else ():
        name = _checked(entry)
        if name["host"] == host:
            folders[name["run"]][int(name["number"])] = entry.id
    found = {}
    for folder, files in folders.items():
        if sorted(files) != list(range(1, len(files) + 1)):
            raise SurroundingsError(f"a file is missing in {folder} on the results branch")
        run = folder[-16:]
        found[run] = RunFiles(folder, run, tuple(files[each] for each in sorted(files)))
    return found


def read_chain(repository: Repository, commit: str | None, host: str) -> Chain:
    """Read all that the runs of a target have written, one run after the other as they came.

    Raises `SurroundingsError` for damage, with the place.
    """
    chain = Chain(repository, host, commit, ManifestState(is_chained=True))
    chain.runs = list_runs(repository, commit, host)
    files = [
        (run.path(number), blob)
        for run in chain.runs.values()
        for number, blob in enumerate(run.files, 1)
    ]
    _read_files(repository, files, chain.state)
    return chain


def _read_files(
    repository: Repository, files: Sequence[tuple[str, str]], state: ManifestState
) -> None:
    """Take in files, given by their paths and blobs; many at a time, because most are small."""
    some: list[tuple[str, bytes]] = []
    size = 0
    for path, content in _in_order(repository, files):
        if not content.endswith(b"\n"):
            raise _damage(path, content.count(b"\n") + 1, "its end is missing")
        some.append((path, content))
        size += len(content)
        if size > MOST:
            _take(some, state)
            some, size = [], 0
    _take(some, state)


def _take(files: Sequence[tuple[str, bytes]], state: ManifestState) -> None:
    try:
        read_state(BytesIO(b"".join(content for _, content in files)), state)
    except DamageError as error:
        ends = accumulate(content.count(b"\n") for _, content in files)
        each = zip(files, ends, strict=True)
        (path, content), end = next(it for it in each if error.line <= it[1])
        line = error.line - end + content.count(b"\n")
        raise _damage(path, line, str(error)) from error


def _damage(path: str, line: int, why: str) -> SurroundingsError:
    return SurroundingsError(f"{path}:{line}:1: error: the results branch is damaged ({why})")


def _in_order(
    repository: Repository, files: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, bytes]]:
    """Give paths and contents, one run after the other: their order stands in their first files."""
    places: list[tuple[int, int, int, str]] = []
    number = 0
    contents = repository.blobs((blob for _, blob in files), 4 * MOST)
    # They may be more than fits into memory twice.
    with SpooledTemporaryFile(_IN_MEMORY) as spool:
        for (path, _), content in zip(files, contents, strict=True):
            number = _number_in(content, path) if path.endswith(_FIRST) else number
            places.append((number, spool.tell(), len(content), path))
            spool.write(content)
        for _, start, size, path in sorted(places):
            spool.seek(start)
            yield path, spool.read(size)


def _checked(entry: Entry) -> re.Match[str]:
    found = _NAME.fullmatch(entry.path)
    if found is None or entry.mode != "100644":
        what = "is no plain file" if found else "is not a file of ours"
        raise SurroundingsError(
            f"{printable(entry.path)[:200]} on the results branch {what}: results need a branch of "
            "their own, which nothing but message-runner writes to"
        )
    return found


def _number_in(content: bytes, path: str) -> int:
    """The number in the line that says who runs: the second of a run's first file."""
    with suppress(ValueError, KeyError, TypeError, IndexError, RecursionError):
        event = json.loads(content.split(b"\n", 2)[1])
        if event["event"] == "run":
            return int(event["number"])
    raise SurroundingsError(f"{path} on the results branch does not say who ran")

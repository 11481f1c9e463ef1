"""Whose turn it is on the results branch: waited for, taken over, opened; and read by everybody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from runner import clock
from runner.errors import LaterError, MovedError, RunnerError
from runner.files import read_bounded
from runner.manifest.branch import LEFT, BranchLog
from runner.manifest.chain import MOST, Chain, path_of, pieces, read_chain, run_folder
from runner.manifest.lease import Lease
from runner.manifest.lines import Event, line_of, new_event
from runner.manifest.manifest import Manifest
from runner.manifest.shared import Pause, Pushed, SharedRef, waits
from runner.manifest.state import VERSION, check_target
from runner.manifest.times import TIMES, Times, now_s
from runner.manifest.told import Truth
from runner.toloka.pace import Stopped
from runner.wording import age_words

_MOST_LEFT = 1000 * MOST
_TOLD_EVERY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The part of a results branch that is about one target, and how its runs go about it.

    `tell` says to people what is waited for; `deadline_s`, by `now_s`, is until when.
    """

    ref: SharedRef
    host: str
    target: str
    times: Times = TIMES
    pause: Pause = time.sleep
    tell: Callable[[str], object] = lambda _: None
    deadline_s: float = float("inf")


def read_branch(shared: Shared) -> Truth:
    """Read the tip; where the remote cannot be reached, what was fetched last, and say how old it is."""
    ref, stale = shared.ref, ""
    try:
        commit = ref.fetch()
    except LaterError as error:
        commit, seen_at_s = ref.seen, ref.seen_at_s
        if commit is None:
            return Truth(told=f"what was sent is not known: {error}", is_known=False)
        age = age_words(timedelta(seconds=time.time() - seen_at_s)) if seen_at_s else "some time"
        stale = f", as it was {age} ago: {error}"
    chain = _read(shared, commit)
    at = f"at {commit[:10]}" if commit else "which does not exist yet"
    return Truth(chain.state.history(), f"{ref.shown}, {at}{stale}")


@contextmanager
def open_branch(
    shared: Shared,
    run: Mapping[str, object],
    lease: Lease,
    acts_under: str | None = None,
    *,
    at_once: bool = False,
) -> Iterator[tuple[Manifest, BranchLog]]:
    """Wait for this run's turn, and give the manifest; its first line is what takes the turn.

    `at_once` takes it here: whoever asks a person, or has nothing to write, needs none. Raises
    `MovedError` from whatever writes first, if another run was quicker.
    """
    push_left(shared)
    manifest, log = _opened(shared, run, lease, acts_under, at_once=at_once)
    is_taking_over = not at_once and bool(log.chain.unended)
    try:
        yield manifest, log
        if is_taking_over:
            # Nobody has to wait for these again.
            with suppress(RunnerError, Stopped):
                manifest.begin()
    finally:
        manifest.end()
        log.close()


def _opened(
    shared: Shared,
    run: Mapping[str, object],
    lease: Lease,
    acts_under: str | None,
    *,
    at_once: bool,
) -> tuple[Manifest, BranchLog]:
    while True:
        chain = wait_for_turn(shared)
        ends = list(chain.unended)
        line = _run_line(run, chain, **({"ends": ends} if ends else {}))
        folder = run_folder(shared.host, str(run["run"]), clock.now())
        for silent in ends:
            shared.tell(_taken_over(chain, silent))
        # What they have claimed is this run's to look for.
        chain.state.unlocked.update(ends)
        chain.state.mine = str(run["run"])
        log = BranchLog(shared.ref, chain, folder, shared.times, lease, shared.pause)
        manifest = Manifest(
            f"the branch {shared.ref.shown}",
            shared.target,
            line,
            chain.state,
            log,
            acts_under=acts_under,
            is_unborn=chain.is_unborn,
        )
        log.take_news = manifest.take_news
        if not at_once:
            return manifest, log
        with suppress(MovedError):
            manifest.begin()
            return manifest, log


def wait_for_turn(shared: Shared) -> Chain:
    """Wait until no run is open, or until whoever is has been silent for too long.

    Raises `LaterError` when the time is up.
    """
    chain = _read(shared, shared.ref.fetch())
    seen_s, told_s = now_s(), float("-inf")
    while newest := chain.unended:
        if now_s() - seen_s >= shared.times.silence:
            return chain
        silent = f"no sign of life in {now_s() - seen_s:.0f} seconds of waiting"
        holder = f"{_holder(chain, next(iter(newest)))}; {silent}"
        if now_s() >= shared.deadline_s:
            hint = f"run again later, or end it with `message-runner unlock{shared.ref.option}`"
            raise LaterError(f"{holder}: {hint}")
        if now_s() - told_s >= _TOLD_EVERY_S:
            shared.tell(f"waiting: {holder}")
            told_s = now_s()
        shared.pause(shared.times.poll)
        commit = shared.ref.fetch()
        if commit is not None and commit != chain.commit:
            chain.move(commit)
        if chain.unended != newest:
            seen_s = now_s()
    return chain


def read_runs(shared: Shared) -> Mapping[str, str]:
    """Read which runs are open, and what is known of each."""
    chain = _read(shared, shared.ref.fetch())
    return {run: _holder(chain, run) for run in chain.unended if run not in chain.state.unlocked}


def push_left(shared: Shared) -> None:
    """Push what runs on this machine could not push at their end, each into its own folder."""
    folder = shared.ref.folder / LEFT / shared.host
    for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        try:
            name, lines = path.stem, read_bounded(path, _MOST_LEFT)
        except FileNotFoundError:
            # Another command has just pushed it.
            continue
        run = f"{shared.host}/{name[:4]}/{name[4:6]}/{name}"

        def files_at(chain: Chain, run: str = run, lines: bytes = lines) -> Mapping[str, bytes]:
            known = next((len(it.files) for it in chain.runs.values() if it.folder == run), 0)
            # A run of which nothing is there has never had its turn, and has sent nothing.
            return _files(run, known + 1, lines) if known and lines else {}

        _push_beside(shared, files_at)
        path.unlink(missing_ok=True)


def add_word(shared: Shared, run: Mapping[str, object], *events: Event, **about: object) -> Chain:
    """Push a short run of its own, whoever has the turn: a person's word. Gives what was read."""
    folder = run_folder(shared.host, str(run["run"]), clock.now())

    def files_at(chain: Chain) -> Mapping[str, bytes]:
        first = new_event("manifest", version=VERSION, target=shared.target)
        line = new_event("run", **_run_line(run, chain, **about))
        end = new_event("end", run=run["run"], deliveries=0, checksum=0)
        return _files(folder, 1, b"".join(map(line_of, (first, line, *events, end))))

    return _push_beside(shared, files_at)


def _push_beside(shared: Shared, files_at: Callable[[Chain], Mapping[str, bytes]]) -> Chain:
    """Push files onto whatever the tip is, made anew for each; gives what was read."""
    ref, until_s = shared.ref, now_s() + shared.times.retry
    for wait_s in waits():
        chain = _read(shared, ref.fetch())
        files = files_at(chain)
        if not files:
            return chain
        message = f"{next(iter(files)).split('/')[-2]} to {shared.host} [skip ci]"
        commit = ref.repository.commit(chain.commit, files, message)
        if ref.push(commit) is Pushed.ACCEPTED:
            return chain
        if now_s() > until_s:
            break
        shared.pause(wait_s)
    raise LaterError(f"nothing could be pushed to {ref.shown}: run again later")


def _read(shared: Shared, commit: str | None) -> Chain:
    chain = read_chain(shared.ref.repository, commit, shared.host)
    check_target(chain.state, shared.target, f"the branch {shared.ref.shown}")
    return chain


def _files(folder: str, first: int, lines: bytes) -> Mapping[str, bytes]:
    return {path_of(folder, number): piece for number, piece in enumerate(pieces(lines), first)}


def _run_line(run: Mapping[str, object], chain: Chain, **about: object) -> dict[str, object]:
    """Say who runs, and after which run."""
    last = chain.last
    after = {"after": last} if last else {}
    return {**run, "number": len(chain.state.runs) + 1, **after, **about}


def _taken_over(chain: Chain, run: str) -> str:
    count = sum(pending.run == run for pending in chain.state.pending.values())
    who = chain.state.runs[run].who
    return (
        f"run {run} of {who} fell silent and is taken over: what became of "
        f"{count:,} of its deliveries is unknown, and looked for"
    )


def _holder(chain: Chain, run: str) -> str:
    line = chain.state.runs[run]
    return f"run {run} of {line.who} is sending since {line.at}"

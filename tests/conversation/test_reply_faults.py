"""Every way in which a reply, or putting a thread into a folder, can fail: once all the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from delivery.test_fault_matrix import CODES, KINDS, SILENT, WRITTEN, allowed_timeout_s
from delivery.world import World, world
from support import IS_THOROUGH, control, one_in, threads

from runner.errors import ExitCode

from .talk import reply, said, said_in

THREADS = 5
WHERE = {"middle": "at=3", "every other": "every=2"}
if IS_THOROUGH:
    WHERE |= {"first": "at=1", "last": f"at={THREADS}"}
AGAIN = "And again, thank you."


def all_kinds(folder: Path, check: Callable[[Path, str], None]) -> None:
    """Check kinds of fault, side by side: most of what a case does is to wait."""
    with ThreadPoolExecutor(16) as pool:
        running = {kind: pool.submit(check, folder / kind, kind) for kind in one_in(4, KINDS)}
    failures = {kind: error for kind, it in running.items() if (error := it.exception())}
    assert not failures, (list(failures), next(iter(failures.values())))


def run_until_done(it: World, **how: Any) -> list[ExitCode]:
    """Run until the exit code is 0; gives the codes."""
    codes: list[ExitCode] = []
    while not codes or codes[-1] != ExitCode.DONE:
        assert len(codes) < 8, f"it never ends well: {codes}"
        codes.append(it.run(**how).exit_code)
    return codes


def write(it: World, **keys: object) -> None:
    """A message for each of five Tolokers, with these keys."""
    for number in range(THREADS):
        it.write(f"m{number}", f"t{number}")
        path = it.root / "messages" / f"m{number}.yaml"
        extra = "".join(f"{key}: {value}\n" for key, value in keys.items())
        path.write_text(path.read_text() + extra)


def expected(kind: str, where: str, codes: list[ExitCode]) -> None:
    """What the runs may come to: met once, as the table says, and then a clean one."""
    code = CODES.get(kind, ExitCode.DONE)
    if where == "every other":
        assert set(codes) <= {code, ExitCode.LATER, ExitCode.DONE, ExitCode.UNKNOWN}, (kind, codes)
    elif where == "last" and kind in SILENT:
        assert codes == [ExitCode.UNKNOWN, ExitCode.DONE]
    else:
        assert codes == ([code] if code == ExitCode.DONE else [code, ExitCode.DONE]), (kind, codes)


def check_replies(folder: Path, kind: str, where: str) -> None:
    with world(folder) as it:
        write(it)
        run_until_done(it)
        for number in range(THREADS):
            path = it.root / "messages" / f"r{number}.yaml"
            path.write_text(reply(f"m{number}"))
        it.timeout_s = allowed_timeout_s(kind)
        it.faults(f"on=reply,{WHERE[where]},kind={WRITTEN.get(kind, kind)}")
        codes = run_until_done(it, jobs=1)
        expected(kind, where, codes)
        held = list(said(it.emulator).values())
        if kind == "incorrect-recipients":
            # The server's word that nobody is there is final.
            refused = sum(line["event"] == "no_recipients" for line in it.lines())
            assert refused == (1 if where != "every other" else THREADS // 2)
            assert sum(AGAIN in each for each in held) == THREADS - refused
            assert all(each.count(AGAIN) <= 1 for each in held)
        else:
            assert [each[1:] for each in held] == [[AGAIN]] * THREADS, kind
        it.faults()
        before = it.calls("reply")
        assert it.run().exit_code == ExitCode.DONE
        assert it.calls("reply") == before
        assert it.calls("compose") == THREADS
        assert it.unknown() == []


@pytest.mark.parametrize("where", WHERE)
def test_every_thread_has_the_reply_once(tmp_path: Path, where: str) -> None:
    all_kinds(tmp_path, lambda folder, kind: check_replies(folder, kind, where))


def check_folders(folder: Path, kind: str, where: str) -> None:
    with world(folder) as it:
        write(it, folders="[IMPORTANT, UNREAD]")
        it.timeout_s = allowed_timeout_s(kind)
        it.faults(f"on=folders,{WHERE[where]},kind={WRITTEN.get(kind, kind)}")
        codes = run_until_done(it, jobs=1)
        # Nobody can be doubled by it, so whatever passes by itself is tried again at once.
        expected(kind, where, codes)
        held = threads(it.emulator)
        assert [sorted(each["folders"]) for each in held] == [
            ["IMPORTANT", "OUTBOX", "UNREAD"]
        ] * THREADS
        assert all(len(said_in(each)) == 1 for each in held)
        lines = [line for line in it.lines() if line["event"] == "folders"]
        assert sorted(line["thread_id"] for line in lines) == sorted(each["id"] for each in held)
        assert all(line["folders"] == ["IMPORTANT", "UNREAD"] for line in lines)
        it.faults()
        before = control(it.emulator, "stats")["calls"]
        assert it.run().exit_code == ExitCode.DONE
        after = control(it.emulator, "stats")["calls"]
        assert {**after, "list": 0} == {**before, "list": 0}
        assert after["compose"] == THREADS


@pytest.mark.dear
@pytest.mark.parametrize("where", WHERE)
def test_every_thread_is_in_its_folders_and_nothing_is_sent_again(
    tmp_path: Path, where: str
) -> None:
    all_kinds(tmp_path, lambda folder, kind: check_folders(folder, kind, where))

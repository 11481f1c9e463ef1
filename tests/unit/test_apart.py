"""Work that is shared out over cores: what comes of it is what one process would make."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from runner import apart
from runner.apart import shared_out
from runner.errors import SurroundingsError
from runner.render.child import Child
from runner.spec.coreschema import Written

# A helper has no environment.
IS_HELPER = "PATH" not in os.environ
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def tenfold(number: int) -> int:
    return 10 * number


def where_done(_number: int) -> int:
    time.sleep(0.02)
    return os.getpid()


def root(number: int) -> int:
    return {4: 2, 9: 3}[number]


def dies_elsewhere(number: int) -> int:
    if IS_HELPER and number == 5:
        os._exit(3)
    return 10 * number


def prints_elsewhere(number: int) -> int:
    if IS_HELPER:
        print("not an answer")
    return 10 * number


def gives_no_value(number: int) -> object:
    return lambda: number


@pytest.mark.parametrize("work", [tenfold, dies_elsewhere, prints_elsewhere, lambda it: 10 * it])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_results_come_in_the_order_of_their_parts(work: Callable[[int], int], count: int) -> None:
    assert list(shared_out(work, range(count), is_much=True)) == [10 * it for it in range(count)]


def test_what_cannot_be_sent_back_is_made_here() -> None:
    made = shared_out(gives_no_value, range(20), is_much=True)
    assert [it() for it in made] == list(range(20))  # type: ignore[operator]  # they are functions


@pytest.mark.skipif(CORES < 2, reason="there is one core, or a system that does not tell")
def test_another_process_helps_and_ends_with_the_work() -> None:
    here = os.getpid()
    helpers = {*shared_out(where_done, range(30), is_much=True)} - {here}
    assert helpers
    for helper in helpers:
        with pytest.raises(ProcessLookupError):
            os.kill(helper, 0)
    assert {*shared_out(where_done, range(2), is_much=False)} == {here}


def test_whoever_asks_for_no_more_leaves_no_process_behind() -> None:
    with closing(
        cast("Generator[int, None, None]", shared_out(where_done, range(1_000), is_much=True))
    ) as made:
        next(made)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("is_much", [True, False])
def test_what_fails_raises_here(is_much: bool) -> None:
    with pytest.raises(KeyError, match="16"):
        list(shared_out(root, [4, 9, 16, 4], is_much=is_much))


@pytest.mark.parametrize(
    ("text", "value"), [("0123", 123), ("0x1F", 31), ("1e3", 1e3), (".5", 0.5)]
)
def test_a_number_is_in_another_process_what_it_is_here(text: str, value: float) -> None:
    again = pickle.loads(pickle.dumps(Written(text, value)))
    assert (str(again), again) == (text, value)


def test_a_machine_without_another_thread_is_no_bug() -> None:
    usual = threading.stack_size(1 << 50)
    try:
        assert list(shared_out(tenfold, range(3), is_much=True)) == [0, 10, 20]
        with pytest.raises(SurroundingsError, match="did not start: can't start new thread"):
            Child(b"{}\n", [])
    finally:
        threading.stack_size(usual)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_lies_beside_our_package_hides_nothing_of_pythons(tmp_path: Path) -> None:
    shutil.copytree(Path(apart.__file__).parent, tmp_path / "runner")
    (tmp_path / "pathlib.py").write_text("raise ImportError('an old backport')\n")
    (tmp_path / "told.py").write_text("import pathlib\ndef main(words): print(*words)\n")
    asks = (
        "import sys; sys.path.append(sys.argv[1]); from runner.apart import started; "
        "print(started('told', 'ab').communicate()[0].split())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", asks, str(tmp_path)], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.split() == [b"[b'a',", b"b'b']"]

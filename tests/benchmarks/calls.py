"""How many functions of ours one DIRECT message passes on its way to a remote target.

`message-runner send` in this process, to an emulator at a loopback URL with a token: one message
to one Toloker. What is counted are the different functions under `runner/`, the emulator's left
out, in all threads; and how often the plan is built, and the history of the manifest.

    python tests/benchmarks/calls.py
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

from measure import row

import runner
from runner.cli import main as command
from runner.emulator import Emulator
from runner.manifest.state import ManifestState
from runner.plan.build import build_plan

PACKAGE = Path(runner.__file__).parent
SPEC = """\
topic: {EN: "Thank you!"}
text: {EN: "Amazing job! We have just trained our first model."}
recipients_select_type: DIRECT
recipients_ids: [1ad097faba0eff85a04fe30bc04d53db]
"""

Calls = Counter[CodeType]


def count_calls(folder: Path) -> Calls:
    """Send the message; gives how often each function was called."""
    calls: Calls = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    (folder / "messages").mkdir()
    (folder / "messages" / "thanks.yaml").write_text(SPEC)
    os.environ["TOLOKA_TOKEN"] = "benchmark"
    with Emulator(folder / "toloka.sqlite") as emulator:
        os.chdir(folder)
        sys.argv = ["message-runner", "send", "--target", emulator.url]
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            command()
        except SystemExit as ended:
            if ended.code:
                raise
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
            os.chdir(PACKAGE.parent)
    return Counter({code: times for code, times in calls.items() if is_ours(code)})


def is_ours(code: CodeType) -> bool:
    """Whether this is a function of the runner: no module, class, comprehension or lambda."""
    path = Path(code.co_filename)
    if not path.is_relative_to(PACKAGE) or path.is_relative_to(PACKAGE / "emulator"):
        return False
    return bool(code.co_flags & inspect.CO_NEWLOCALS) and not code.co_name.startswith("<")


def show(calls: Calls) -> None:
    files = Counter(Path(code.co_filename).relative_to(PACKAGE).as_posix() for code in calls)
    folders = Counter[str]()
    for name, functions in files.items():
        folders[name.rpartition("/")[0] or "(the package itself)"] += functions
    print("one DIRECT message, sent to a remote target:")
    row("different functions", len(calls))
    row("calls", sum(calls.values()))
    row("files", len(files))
    row("plans built", calls[build_plan.__code__])
    row("histories built", calls[ManifestState.history.__code__])
    for title, counted in (("folders", folders), ("files", files)):
        print(f"functions by {title}:")
        for name, functions in counted.most_common():
            row(name, functions)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        show(count_calls(Path(name)))


if __name__ == "__main__":
    main()

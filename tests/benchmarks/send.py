"""How fast messages go out, beside a plain loop of requests, and what the disk costs.

Three parts, in one run on one machine:

- an emulator in a process of its own, whose answers take some time (--latency-ms), and
  `message-runner send` with its defaults: so many messages to one Toloker each (--messages);
- the same requests by a plain loop, one after the other on one connection, without a manifest:
  over fewer messages (--plain), because a loop makes no more a second when it makes more of them;
- the manifest alone: so many lines (--lines) from 64 threads, each on disk when the call returns,
  flushed together, and one flush for each line; and unflushed, which promises nothing.

    python tests/benchmarks/send.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import Any

import requests
from measure import COMMAND, Measured, emulator, measured, row, whole

from runner.manifest.appender import Appender

CEILING = 300
"""Requests a second that Toloka allows."""
THREADS = 64
TOKEN = "benchmark"


def write_messages(folder: Path, count: int) -> None:
    """Write messages of one recipient, in files of their own."""
    (folder / "messages").mkdir()
    for number in range(count):
        (folder / "messages" / f"m{number:05}.yaml").write_text(
            f'topic: {{EN: "Thank you, {number}!"}}\n'
            'text: {EN: "Amazing job! We have just trained our first model."}\n'
            f"recipients_select_type: DIRECT\nrecipients_ids: [toloker-{number}]\n"
        )


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/emulator/stats", timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def send(folder: Path, url: str) -> Measured:
    command = [*COMMAND, "send", "--quiet", "--target", url]
    return measured(command, cwd=folder, env={"TOLOKA_TOKEN": TOKEN})


def span_s(url: str) -> float:
    """From the first compose to the last, as the server saw them."""
    with urllib.request.urlopen(f"{url}/emulator/calls", timeout=60) as answer:
        calls = [each for each in json.load(answer) if each["path"].endswith("/compose")]
    first, last = (seconds_of(each["at"]) for each in (calls[0], calls[-1]))
    return max(last - first, 1e-3)


def seconds_of(at: str) -> float:
    clock = at.partition("T")[2].removesuffix("Z")
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def plain_loop(url: str, count: int) -> float:
    """Post one message after the other; gives the seconds."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"OAuth {TOKEN}"
        began_s = time.perf_counter()
        for number in range(count):
            form = {
                "topic": {"EN": f"Plain, {number}"},
                "text": {"EN": "Amazing job! We have just trained our first model."},
                "recipients_select_type": "DIRECT",
                "recipients_ids": [f"plain-{number}"],
                "answerable": True,
            }
            reply = session.post(f"{url}/api/v1/message-threads/compose", json=form, timeout=60)
            reply.raise_for_status()
        return time.perf_counter() - began_s


def compare(messages: int, plain: int, latency_ms: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_messages(folder, messages)
        with emulator(folder, "--latency-ms", str(latency_ms)) as url:
            ours = send(folder, url)
            seen, took_s = stats(url), span_s(url)
            plain_s = plain_loop(url, plain)
    rate, plain_rate = messages / took_s, plain / plain_s
    print(f"message-runner send, {messages:,} messages, {latency_ms} ms an answer:")
    row("messages a second, first to last", whole(rate))
    row("of Toloka's ceiling of 300 a second", f"{rate / CEILING:.0%}")
    row("most calls in any one second", seen["max_in_one_second"])
    row("answers 429", seen["answers"].get("429", 0))
    row("connections", seen["connections"])
    row("seconds, the process as a whole", whole(ours.seconds, 2))
    row("CPU seconds", whole(ours.cpu_s, 2))
    row("CPU milliseconds a message", whole(ours.cpu_s and 1000 * ours.cpu_s / messages, 2))
    row("peak memory, MiB", whole(ours.peak_mib))
    print(f"a plain loop, {plain:,} messages, no manifest:")
    row("messages a second", whole(plain_rate))
    row(f"seconds for {messages:,}, extrapolated", whole(messages / plain_rate))
    print("ratio:")
    row("messages a second, ours to the loop's", f"{rate / plain_rate:.1f}x")
    row("the process as a whole", f"{messages / ours.seconds / plain_rate:.1f}x")


def from_threads(append: Callable[[bytes], object], lines: int) -> float:
    """Append lines from many threads at once; gives the seconds."""
    line = b'{"event":"intent","delivery":"' + b"0" * 32 + b'","digest":"' + b"0" * 71 + b'"}\n'
    with ThreadPoolExecutor(THREADS) as pool:
        began_s = time.perf_counter()
        list(pool.map(lambda _: append(line), range(lines)))
        return time.perf_counter() - began_s


def compare_disk(lines: int) -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        with FileIO(Path(name) / "shared.jsonl", "a") as shared:
            shared_s = from_threads(Appender(shared).append, lines)
        lock = threading.Lock()
        with (Path(name) / "each.jsonl").open("ab", buffering=0) as stream:

            def append(line: bytes) -> None:
                with lock:
                    stream.write(line)
                    os.fsync(stream.fileno())

            each_s = from_threads(append, lines)
        with (Path(name) / "none.jsonl").open("ab", buffering=0) as stream:
            none_s = from_threads(stream.write, lines)
    print(f"the manifest alone, {lines:,} lines from {THREADS} threads, in {Path.cwd()}:")
    row("lines a second, flushed together (ours)", whole(lines / shared_s, 0))
    row("lines a second, one flush for each line", whole(lines / each_s, 0))
    row("lines a second, never flushed", whole(lines / none_s, 0))
    row("together, to one flush for each line", f"{each_s / shared_s:.1f}x")
    row("milliseconds of disk a line, together", whole(1000 * shared_s / lines, 3))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=2000, metavar="N")
    parser.add_argument("--plain", type=int, default=200, metavar="N")
    parser.add_argument("--lines", type=int, default=2000, metavar="N")
    parser.add_argument("--latency-ms", type=int, default=100, metavar="N")
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors")
    compare(asked.messages, asked.plain, asked.latency_ms)
    compare_disk(asked.lines)


if __name__ == "__main__":
    main()

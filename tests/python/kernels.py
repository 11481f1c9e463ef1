"""Run by the Python of an environment that has Jupyter: a notebook, and a kernel that is stopped.

Prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient

PLAN = "import runner\nproject = runner.project({url!r})\nproject.plan().send(expect={expect})"
SHOWN = ("text/plain", "text/html")


def run_notebook(path: str) -> None:
    """Execute a notebook where it lies, twice; print what each of its cells gave."""
    for _ in range(2):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        folder = {"metadata": {"path": str(Path(path).parent)}}
        NotebookClient(notebook, timeout=60, kernel_name="python3", resources=folder).execute()
        print(
            json.dumps([[shown(out) for out in cell.get("outputs", ())] for cell in notebook.cells])
        )


def shown(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    return str(output.get("text") or "".join(data.get(name, "") for name in SHOWN))


def stop_kernels(url: str, expect: str) -> None:
    """Send from a cell that is interrupted, and again; kill the kernel in another, and again."""
    code = PLAN.format(url=url, expect=expect)
    manager, client = start_new_kernel(kernel_name="python3", cwd=os.getcwd())  # noqa: PTH109
    asked = client.execute(code)
    wait_for_composes(url, 3)
    manager.interrupt_kernel()
    print(json.dumps(answer(client, asked)))
    client.execute(code)
    wait_for_composes(url, 12)
    end(manager, client, at_once=True)
    manager, client = start_new_kernel(kernel_name="python3", cwd=os.getcwd())  # noqa: PTH109
    print(json.dumps(answer(client, client.execute(code))))
    end(manager, client, at_once=False)


def end(manager: KernelManager, client: BlockingKernelClient, *, at_once: bool) -> None:
    client.stop_channels()
    manager.shutdown_kernel(now=at_once)


def answer(client: BlockingKernelClient, asked: str) -> dict[str, Any]:
    """How the cell ended that was asked for, and what it printed and showed."""
    reply = next(each for each in messages(client.get_shell_msg, asked))["content"]
    printed, result = "", ""
    for message in messages(client.get_iopub_msg, asked):
        kind, content = message["msg_type"], message["content"]
        printed += content["text"] if kind == "stream" else ""
        result += content["data"]["text/plain"] if kind == "execute_result" else ""
        if content.get("execution_state") == "idle":
            break
    names = ("status", "ename", "evalue")
    return {name: reply.get(name) for name in names} | {"printed": printed, "result": result}


def messages(get: Callable[..., dict[str, Any]], asked: str) -> Iterator[dict[str, Any]]:
    while True:
        message = get(timeout=60)
        if message["parent_header"].get("msg_id") == asked:
            yield message


def wait_for_composes(url: str, count: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with urllib.request.urlopen(f"{url}/emulator/stats", timeout=20) as stats:
            if json.load(stats)["calls"].get("compose", 0) >= count:
                return
    raise TimeoutError


if __name__ == "__main__":
    if sys.argv[1] == "notebook":
        run_notebook(sys.argv[2])
    else:
        stop_kernels(*sys.argv[2:])

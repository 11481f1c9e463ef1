from __future__ import annotations

import json
from pathlib import Path

import pytest
from installing import OUTSIDE, TOLOKA_KIT, environment, run
from support import run_command

from runner.emulator import Emulator

SCRIPT = Path(__file__).with_name("toloka_kit_script.py")
SEES = Path(__file__).with_name("toloka_kit_sees.py")
MESSAGES = {
    "direct": "topic: {EN: Hi, RU: Привет}\ntext: {EN: One, RU: Раз}\n"
    "recipients_select_type: DIRECT\nrecipients_ids: [ann, bob]\nanswerable: false\n",
    "everyone": "topic: {EN: News}\ntext: {EN: Two}\nrecipients_select_type: ALL\n",
    "some": "topic: {EN: Skilled}\ntext: {EN: Three}\nrecipients_select_type: FILTER\n"
    "recipients_filter: {category: skill, key: '224', operator: GTE, value: 80}\n",
    "thanks": "text: {EN: Four}\nreply_to: direct\n",
}
OAUTH, API_KEY = "AgAAAAB0token", "a" * 23 + ".bb.ccc"


# The client asks a server on this machine, whatever proxy the machine has.
DIRECT = {**OUTSIDE, "NO_PROXY": "*", "no_proxy": "*"}


# One test and not several, so that the client is installed once however the tests are spread.
@pytest.mark.installs
@pytest.mark.timeout(600)
def test_official_client_works_unmodified(tmp_path: Path) -> None:
    python = environment(tmp_path / "client", *TOLOKA_KIT).python
    for token in (OAUTH, API_KEY):
        store = tmp_path / f"{token}.sqlite3"
        with Emulator(store, rate_limit=0, daily_all_limit=0) as emulator:
            done = run(python, SCRIPT, emulator.url, token, cwd=tmp_path, env=DIRECT)
        assert (done.code, done.said.splitlines()[-1:]) == (0, ["OK"]), done.said
    check_what_it_sees_of_ours(python, tmp_path)


def check_what_it_sees_of_ours(python: Path, folder: Path) -> None:
    """What the client lists after our sends equals what we recorded."""
    (folder / "messages").mkdir()
    for name, text in MESSAGES.items():
        (folder / "messages" / f"{name}.yaml").write_text(text, encoding="utf-8")
    with Emulator(folder / "ours.sqlite3") as emulator:
        for number in range(2):  # The reply goes out with the second run.
            ours = ("send", "--target", emulator.url, "--results", f"{number}.json")
            done = run_command(*ours, cwd=folder, env={"TOLOKA_TOKEN": OAUTH})
            assert done.code == 0, done.err
        listed = run(python, SEES, emulator.url, OAUTH, cwd=folder, env=DIRECT)
    assert listed.code == 0, listed.said
    seen = {each["thread_id"]: each for each in json.loads(listed.said.splitlines()[-1])}
    results = json.loads((folder / "1.json").read_text(encoding="utf-8"))["deliveries"]
    composed = {each["thread_id"]: each for each in results if each["action"] == "compose"}
    assert set(seen) == set(composed)
    assert len(seen) == 3
    for thread_id, recorded in composed.items():
        theirs = seen[thread_id]
        for name in ("topic", "recipients_select_type", "recipients_ids"):
            assert theirs[name] == recorded[name], name
    [replied] = [each["thread_id"] for each in results if each["action"] == "reply"]
    assert seen[replied]["texts"] == [{"EN": "One", "RU": "Раз"}, {"EN": "Four"}]
    assert seen[replied]["answerable"] is False

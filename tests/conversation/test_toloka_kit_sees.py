"""What the official client sees of our sends is what our manifest recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulator.test_toloka_kit import OAUTH, official_client, run
from support import Project, direct

from runner.emulator import Emulator

from .talk import answer, reply, sent_ok

SCRIPT = """
import json, sys
from toloka.client import TolokaClient
client = TolokaClient(sys.argv[2], url=sys.argv[1])
print(json.dumps([
    {
        "thread_id": each.id,
        "people": each.compose_details.recipients_ids if each.compose_details else None,
        "said": [message.text for message in reversed(each.messages)],
        "folders": sorted(folder.value for folder in each.folders),
        "created": each.created.isoformat(timespec="milliseconds"),
    }
    for each in client.get_message_threads()
]))
"""


@pytest.mark.timeout(600)
def test_the_official_client_sees_what_the_manifest_recorded(
    project: Project, emulator: Emulator, tmp_path: Path
) -> None:
    project.write(
        "messages/a.yaml", direct("ann", "bob", text="Hi", extra="folders: [IMPORTANT]\n")
    )
    sent_ok(project, emulator)
    (compose,) = [each for each in project.events(emulator) if each["event"] == "intent"]
    (sent,) = [each for each in project.events(emulator) if each["event"] == "sent"]
    child = answer(emulator, sent["thread_id"], "bob")
    project.write("messages/r.yaml", reply("a", "Yes", only_answered=True))
    sent_ok(project, emulator)
    python = official_client(tmp_path / "client")
    script = tmp_path / "look.py"
    script.write_text(SCRIPT)
    done = run([python, script, emulator.url, OAUTH], NO_PROXY="*", no_proxy="*")
    assert done.returncode == 0, done.stdout
    ours, theirs = json.loads(done.stdout.splitlines()[-1])
    assert (ours["thread_id"], ours["people"]) == (sent["thread_id"], compose["recipients_ids"])
    assert ours["created"] == sent["created"].replace("Z", "+00:00")
    assert (ours["said"], ours["folders"]) == ([{"EN": "Hi"}], ["IMPORTANT", "OUTBOX"])
    replied = [each for each in project.events(emulator) if each.get("action") == "reply"]
    assert [each["thread_id"] for each in replied] == [child] == [theirs["thread_id"]]
    assert theirs["said"] == [{"EN": "Hello"}, {"EN": "Yes"}]

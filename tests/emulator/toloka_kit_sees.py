"""Run by the interpreter that has the official client: prints the threads that it sees, as JSON."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

toloka: Any = import_module("toloka.client")


def seen(thread: Any) -> dict[str, object]:
    details = thread.compose_details
    return {
        "thread_id": thread.id,
        "topic": thread.topic,
        "texts": [message.text for message in reversed(thread.messages)],
        "answerable": thread.answerable,
        "recipients_select_type": details.recipients_select_type.value,
        "recipients_ids": details.recipients_ids and sorted(details.recipients_ids),
    }


client = toloka.TolokaClient(sys.argv[2], url=sys.argv[1])
json.dump([seen(thread) for thread in client.get_message_threads()], sys.stdout)

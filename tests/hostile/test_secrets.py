"""The token: where it goes, and that it is seen nowhere else."""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import StartScripted
from scripted import Raw, Request, answer
from support import COMMAND, THANKS, TIMEOUT_S, TOKEN, TOLOKER, Project, Result, direct

from runner.config import Target, choose_target, load_config, load_token
from runner.emulator import Emulator
from runner.errors import ListError, SurroundingsError
from runner.masking import Mask, Secret
from runner.model import Delivery, Direct, Message
from runner.toloka.address import checked_url
from runner.toloka.client import Client
from runner.toloka.pace import Pace

posix = pytest.mark.skipif("os.name == 'nt'", reason="modes, signals and devices of POSIX")
linux = pytest.mark.skipif("not os.path.exists('/proc/self/environ')", reason="looks at /proc")
THREAD_ID = "63c15866757a4a1adad1d632"
QUICK = ("--settle", "0", "--timeout", "2")


def no_list(request: Request) -> Raw:
    """A list with nothing in it, and no compose that works."""
    return (
        answer(200, {"items": [], "has_more": False})
        if request.method == "GET"
        else answer(400, {"code": "NO"})
    )


def beside(folder: str) -> str:
    """A path for Python with a folder of the project before what it had."""
    return os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))


def squeezed(text: str) -> str:
    return "".join(text.split()).lower()


def check_unseen(project: Project, *results: Result) -> None:
    """The token is in no output and in no file, in any case, not even its first half."""
    for shown in results:
        assert TOKEN[:12].lower() not in squeezed(shown.out + shown.err), shown
    for path, content in project.files().items():
        if not path.startswith("secrets/"):
            assert TOKEN[:12].lower() not in squeezed(content.decode(errors="replace")), path


# --- where it goes --------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", ["variable", "file"])
def test_a_target_of_the_configuration_does_not_get_the_token(
    holder: str, project: Project, start_scripted: StartScripted
) -> None:
    evil = start_scripted(no_list)
    project.write("messages/a.yaml", THANKS)
    project.write("runner.yaml", f"target: staging\ntargets: {{staging: {{url: '{evil.url}'}}}}\n")
    file = project.write("secrets/token", TOKEN)
    held = {"TOLOKA_TOKEN": TOKEN} if holder == "variable" else {"TOLOKA_TOKEN_FILE": str(file)}
    shown = project.run("send", *QUICK, **held)
    assert shown.code == 2
    assert shown.err == f"error: {NEEDS_ITS_OWN}\n"
    assert evil.requests == []
    check_unseen(project, shown)


NEEDS_ITS_OWN = (
    "staging needs a token: set TOLOKA_TOKEN_STAGING, or TOLOKA_TOKEN_STAGING_FILE to a "
    "file that holds it"
)


@pytest.mark.parametrize(
    ("flag", "environ"),
    [
        ("staging", {}),
        (None, {"TOLOKA_TARGET": "staging"}),
        ("staging", {"TOLOKA_TARGET": "production"}),
        (None, {"TOLOKA_TOKEN_STAGING": ""}),
        (None, {"TOLOKA_TOKEN_STAGING_FILE": ""}),
        (None, {"TOLOKA_TOKEN_staging": "own-token-of-it"}),
        (None, {"TOLOKA_TOKEN_STAGING_2": "own-token-of-it"}),
    ],
)
def test_however_it_is_chosen_it_needs_a_token_of_its_own(
    flag: str | None, environ: Mapping[str, str], project: Project
) -> None:
    file = project.write("secrets/token", TOKEN)
    project.write(
        "runner.yaml", "target: staging\ntargets: {staging: {url: 'https://x.example'}}\n"
    )
    environ = {"TOLOKA_TOKEN": TOKEN, "TOLOKA_TOKEN_FILE": str(file), **environ}
    assert refusal(project, environ, flag) == NEEDS_ITS_OWN


def refusal(project: Project, environ: Mapping[str, str], flag: str | None = None) -> str:
    """What is said where a token should be had and is not."""
    with pytest.raises(SurroundingsError) as caught:
        load_token(choose_target(load_config(None, project.root), flag, environ), environ)
    assert TOKEN[:12] not in str(caught.value)
    return str(caught.value)


def test_it_gets_a_token_of_its_own_and_a_url_given_by_hand_gets_the_token(
    project: Project, start_scripted: StartScripted
) -> None:
    server = start_scripted(no_list)
    project.write("messages/a.yaml", THANKS)
    project.write("runner.yaml", f"targets: {{staging: {{url: '{server.url}'}}}}\n")
    held = {"TOLOKA_TOKEN": TOKEN, "TOLOKA_TOKEN_STAGING": "own-token-of-it"}
    for target, token in (("staging", "own-token-of-it"), (server.url, TOKEN)):
        server.requests.clear()
        assert project.run("send", "--target", target, *QUICK, **held).code == 4
        assert {each.headers["Authorization"] for each in server.requests} == {f"OAuth {token}"}


@pytest.mark.parametrize(
    "source",
    [
        "target: URL\n",
        "targets: {production: {url: 'URL'}}\n",
        "target: local\ntargets: {local: {url: 'URL'}}\n",
        "target: sandbox\ntargets: {sandbox: {url: 'URL'}}\n",
        "target: yandex-tasks\ntargets: {yandex-tasks: {url: 'URL'}}\n",
        "targets: {Production: {url: 'URL'}}\n",
        "targets: {'production ': {url: 'URL'}}\n",
        'targets: {"production\\n": {url: "URL"}}\n',
        'targets: {"x\\n": {url: "URL"}}\n',
        "target: file\ntargets: {file: {url: 'URL'}}\n",
        "target: my-file\ntargets: {my-file: {url: 'URL'}}\n",
        "targets: {my_file: {url: 'URL'}}\n",
        "targets: {'': {url: 'URL'}}\n",
        "target: x\ntargets: {x: {url: 'URL', token_variable: TOLOKA_TOKEN}}\n",
        "target: x\ntargets: {x: {url: 'URL', token: '${TOLOKA_TOKEN}'}}\n",
        "target: x\ntargets: {x: {url: 'URL'}}\nTOLOKA_TOKEN_FILE: secrets/token\n",
        "target: x\ntargets: {x: {url: 'URL'}}\nenv: {TOLOKA_TOKEN_X: '{{ TOLOKA_TOKEN }}'}\n",
        "target: x\ntargets: {x: {url: 'URL?{{ TOLOKA_TOKEN }}'}}\n",
        "target: x\ntargets: {x: {url: 'URL'}, x: {url: 'https://toloka.dev'}}\n",
        "target: production\ntargets: {x: {url: 'URL'}}\nbuilt_in_urls: {production: 'URL'}\n",
        "defaults: {target: x}\ntargets: {x: {url: 'URL'}}\ntarget: x\n",
        "messages: ../../..\ntarget: x\ntargets: {x: {url: 'URL'}}\n",
    ],
)
def test_no_trick_in_the_configuration_gets_the_token(source: str, project: Project) -> None:
    project.write("messages/a.yaml", THANKS)
    project.write("secrets/token", TOKEN)
    project.write("runner.yaml", source.replace("URL", "https://evil.example"))
    refusal(project, {"TOLOKA_TOKEN": TOKEN})


REFUSED_URLS = [
    "https://toloka.dev@evil.example",
    "https://:@evil.example",
    "https://@evil.example",
    "https://user:pw@toloka.dev",
    "https://toloka.dev:443\\@evil.example",
    "https://toloka.dev\\.evil.example",
    "https://toloka.dev\\@evil.example",
    "https://evil.example\\.toloka.dev",
    "https:\\\\evil.example",
    "https:/evil.example",
    "https:evil.example",
    "https://toloka.dev:443@evil.example:443",
    "https://toloka.dev%2eevil.example",
    "https://toloka.dev%00.evil.example",
    "https://toloka.dev..",
    "https://.toloka.dev",
    "https://toloka.dev,evil.example",
    "https://toloka.dev;evil.example",
    "https://t\u043el\u043eka.dev",
    "https://toloka\u3002dev",
    "https://toloka.dev\u2044evil.example",
    "https://toloka.dev#@evil.example",
    "https://toloka.dev?@evil.example",
    "https://toloka.dev/x/../..",
    "https://toloka.dev/%2e%2e/x",
    "https://toloka.dev/\\evil.example",
    "https://toloka.dev//evil.example",
    "https://toloka.dev:99999",
    "https://[::1]evil.example",
    "http://toloka.dev",
    "HTTP://TOLOKA.DEV",
    "http://evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.1",
    "http://2130706433",
    "http://0x7f.0.0.1",
    "http://localhost.evil.example",
    "http://[::ffff:10.0.0.1]",
    "ftp://toloka.dev",
    "javascript://toloka.dev",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_two_programs_may_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(SurroundingsError):
        checked_url(url)


@pytest.mark.parametrize(
    ("url", "same_as"),
    [
        ("https://TOLOKA.dev", "https://toloka.dev"),
        ("https://toloka.dev.", "https://toloka.dev"),
        ("https://toloka.dev:443/", "https://toloka.dev"),
        ("https://toloka.dev.evil.example", "https://toloka.dev.evil.example"),
        ("https://xn--tlka-55da.dev", "https://xn--tlka-55da.dev"),
    ],
)
def test_one_host_has_one_name_and_another_host_another(url: str, same_as: str) -> None:
    assert checked_url(url) == same_as


def test_a_host_that_begins_as_the_built_in_one_needs_a_token_of_its_own(project: Project) -> None:
    source = NEEDS_ITS_OWN.replace("staging", "x").replace("STAGING", "X")
    for url in ("https://toloka.dev.evil.example", "https://TOLOKA.DEV.:443", "https://toloka.dev"):
        project.write("runner.yaml", f"target: x\ntargets: {{x: {{url: '{url}'}}}}\n")
        assert refusal(project, {"TOLOKA_TOKEN": TOKEN}) == source


PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@pytest.mark.parametrize("name", ["local", "url"])
def test_a_proxy_does_not_see_what_is_for_this_machine(
    name: str, project: Project, emulator: Emulator, start_scripted: StartScripted
) -> None:
    proxy = start_scripted([answer(200, {"items": [], "has_more": False})])
    project.write("messages/a.yaml", THANKS)
    target = "local" if name == "local" else emulator.url
    environ = {"TOLOKA_TOKEN": TOKEN, **dict.fromkeys(PROXIES, proxy.url)}
    shown = project.run("send", "--target", target, *QUICK, **environ)
    assert shown.code == 0, shown.err
    assert proxy.requests == []


def test_a_proxy_is_asked_for_a_remote_host_and_sees_no_token(project: Project) -> None:
    seen = b""
    project.write("messages/a.yaml", THANKS)
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def take() -> None:
            nonlocal seen
            with suppress(OSError):  # It is closed under us.
                while True:
                    connection, _ = proxy.accept()
                    with connection:
                        seen += connection.recv(65536)
                        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        threading.Thread(target=take, daemon=True).start()
        environ = dict.fromkeys(PROXIES, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        shown = project.send("https://toloka.invalid", *QUICK, **environ)
    assert shown.code == 2
    assert "the proxy refused a connection to toloka.invalid (HTTP 403)" in shown.err
    assert seen.startswith(b"CONNECT toloka.invalid:443 ")
    assert TOKEN.encode() not in seen
    check_unseen(project, shown)


# --- what comes back ------------------------------------------------------------------------------

B64 = base64.b64encode
FORMS = {
    "as it is": TOKEN,
    "after its scheme": f"OAuth {TOKEN}",
    "in capitals": TOKEN.upper(),
    "in small letters": TOKEN.lower(),
    "in percents": quote(TOKEN).replace("-", "%2D").replace("s", "%73"),
    "all in percents": "".join(f"%{ord(each):02x}" for each in TOKEN),
    "at the end of what is shown": "x" * 470 + TOKEN,
    "at the end of what is read": "x" * 985 + TOKEN,
    "behind blanks": " " * 600 + "x" * 470 + TOKEN,
}
CODED = {
    "base64": B64(TOKEN.encode()).decode(),
    "base64 for Basic": B64(f"user:{TOKEN}".encode()).decode(),
    "base64 of the header": B64(f"OAuth {TOKEN}".encode()).decode(),
    "base64 with more behind": B64(f"{TOKEN}:password".encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(f"?>{TOKEN}".encode()).decode(),
}


def readable(said: str) -> str:
    """What a reader could get back out of a text: decoded in each way that a form is coded."""
    found = [said]
    for word in said.replace('"', " ").split():
        for cut in range(4):
            with_end = word[cut:] + "=" * (-len(word[cut:]) % 4)
            try:
                found.append(base64.b64decode(with_end, altchars=b"-_").decode("latin-1"))
            except ValueError:
                continue
    return " ".join(found)


@pytest.mark.parametrize("place", ["message", "code", "payload", "key", "status line"])
def test_what_a_server_echoes_is_masked_in_the_forms_that_programs_write(
    place: str, project: Project, start_scripted: StartScripted
) -> None:
    forms = list({**FORMS, **CODED}.values())
    if place == "status line":
        forms = [form for form in forms if form.isprintable() and len(form) < 200]

    def echo(request: Request) -> Raw:
        if request.method == "GET":
            return answer(200, {"items": [], "has_more": False})
        form = forms[int(json.loads(request.body)["topic"]["EN"])]
        bodies: dict[str, object] = {
            "message": {"code": "X", "message": f"no: {form} :no"},
            "code": {"code": form, "message": "no"},
            "payload": {"code": "X", "payload": {"text.EN": {"message": form}}},
            "key": {"code": "X", "payload": {form: {"message": "no"}}},
        }
        if place == "status line":
            return f"HTTP/1.1 {form}\r\n\r\n".encode()
        return answer(400, bodies[place])

    server = start_scripted(echo)
    for number in range(len(forms)):
        project.write(f"messages/m{number:02}.yaml", direct(f"t{number}", topic=str(number)))
    shown = project.send(server.url, *QUICK, "-v", "--results", "results.json")
    assert shown.code in ((4,) if place != "status line" else (5, 75))
    told = shown.err + (project.root / "results.json").read_text()
    assert ("***" in told) == (place != "status line")
    check_unseen(project, shown)
    for text in (shown.out, shown.err, *map(bytes.decode, project.files().values())):
        assert TOKEN[2:-2] not in readable(text)
    after = project.run("status", "--target", server.url, "--format", "json")
    check_unseen(project, after)


def test_a_token_in_the_place_of_an_id_is_not_kept(
    project: Project, start_scripted: StartScripted
) -> None:
    made: list[dict[str, object]] = []

    def serve(request: Request) -> Raw:
        if request.method == "GET":
            return answer(200, {"items": made, "has_more": False})
        form = json.loads(request.body)
        thread = {
            "id": TOKEN if form["topic"]["EN"] == "its id" else THREAD_ID,
            "topic": form["topic"],
            "interlocutors": [{"id": TOKEN, "myself": True}],
            "messages": [
                {"text": {TOKEN: f"I have {TOKEN}"}, "from": {"id": TOKEN + "1"}, "created": NOW},
                {"text": form["text"], "from": {"myself": True}, "created": NOW},
            ],
            "compose_details": {
                "recipients_select_type": form["recipients_select_type"],
                "recipients_ids": [*form["recipients_ids"], TOKEN],
            },
            "parent_id": None,
            "folders": [TOKEN, "OUTBOX"],
            "created": NOW,
        }
        if thread["id"] == THREAD_ID:
            made.append(thread)
        return answer(201, thread)

    server = start_scripted(serve)
    project.write("messages/a.yaml", direct("a", topic="other ids"))
    assert project.send(server.url, *QUICK).code == 0
    project.write("messages/b.yaml", direct("b", topic="its id"))
    shown = project.send(server.url, *QUICK, "--results", "results.json")
    # Looked for and not found: nothing says that it was sent.
    assert shown.code == 5
    results = {each["message"]: each["status"] for each in project.results()["deliveries"]}
    assert results == {"a": "already_sent", "b": "unknown"}
    check_unseen(project, shown)
    where = ("--target", server.url, *QUICK)
    for command in (("replies",), ("replies", "--format", "csv"), ("status", "--refresh")):
        shown = project.run(*command, *where, TOLOKA_TOKEN=TOKEN)
        assert shown.code == 0, shown.err
        assert ("I have ***" in shown.out) == (command[0] == "replies")
        check_unseen(project, shown)


NOW = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())


@pytest.mark.parametrize("form", [*FORMS.values(), *CODED.values()], ids=[*FORMS, *CODED])
def test_a_mask_leaves_the_rest_as_it_was(form: str) -> None:
    mask = Mask(TOKEN)
    # What stands beside the token in its form stays, too.
    left, right = mask(form).split("***")
    assert set(left) <= {*"x OAuth", *"dXNlcjp", *"T0F1dGgg", *"Pz5"}
    assert set(right) <= {*"A6cGFzc3dvcmQ="}
    for first, between in (("before ", " after, and "), ("до\u200b ", " после, и ")):
        said = mask(f"{first}{form}{between}{form} !")
        assert said == f"{first}{left}***{right}{between}{left}***{right} !"
    assert mask("sentinel of 100% & more\\n, T0KEN") == "sentinel of 100% & more\\n, T0KEN"


@pytest.mark.parametrize("form", [*FORMS.values(), *CODED.values()], ids=[*FORMS, *CODED])
def test_a_mask_finds_the_token_in_any_language(form: str) -> None:
    said = Mask(TOKEN)(f"\u00bfPor qué\u00a0no, 50% & \u200b{form}\u200b?")
    assert said.count("***") == 1
    assert TOKEN[2:-2].lower() not in squeezed(readable(said))


def test_a_text_in_any_language_is_masked_quickly() -> None:
    mask = Mask(TOKEN)
    text = "Почему мне не заплатили за 50% заданий & за бонус?\u200b " * 10
    began = time.process_time()
    for _ in range(2_000):
        assert mask(text) == text
    assert time.process_time() - began < 0.2


def test_a_huge_answer_full_of_percents_is_masked_in_little_time_and_room() -> None:
    mask, text = Mask(TOKEN), "%41" * 2_500_000
    began = time.process_time()
    tracemalloc.start()
    assert mask(text) == text
    room = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 10
    assert room < 4 * len(text)


# --- what goes out --------------------------------------------------------------------------------

TELLTALES = """
import http.client, logging, requests
http.client.HTTPConnection.debuglevel = 1
logging.basicConfig(level=0)
"""


@pytest.mark.dear
@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        (("-X", "dev"), {}),
        (("-X", "faulthandler"), {}),
        ((), {"PYTHONVERBOSE": "1"}),
        ((), {"PYTHONPATH": beside("telltales"), "PYTHONDEVMODE": "1"}),
    ],
)
def test_no_way_to_make_python_talk_shows_the_token(
    flags: tuple[str, ...],
    environ: Mapping[str, str],
    project: Project,
    start_scripted: StartScripted,
) -> None:
    def serve(request: Request) -> Raw:
        return (
            answer(200, {"items": [], "has_more": False})
            if request.method == "GET"
            else b"HTTP/1.1 nonsense\r\n"
        )

    server = start_scripted(serve)
    project.write("messages/a.yaml", THANKS)
    project.write("telltales/sitecustomize.py", TELLTALES)
    command = (sys.executable, *flags, *COMMAND[1:])
    done = subprocess.run(
        [*command, "send", "-v", "--target", server.url, *QUICK],
        cwd=project.root,
        env={**os.environ, **environ, "TOLOKA_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    check_unseen(project, Result(done.returncode, done.stdout, done.stderr))


def test_that_way_would_have_shown_it(project: Project, start_scripted: StartScripted) -> None:
    server = start_scripted([answer(200, {})])
    project.write("telltales/sitecustomize.py", TELLTALES)
    script = (
        f"import requests; requests.get({server.url!r}, headers={{'Authorization': {TOKEN!r}}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": beside("telltales")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert TOKEN in done.stdout


@posix
def test_a_run_that_dies_of_a_signal_does_not_show_it(
    project: Project, start_scripted: StartScripted
) -> None:
    reached = threading.Event()

    def hang(_: Request) -> Iterator[bytes]:
        reached.set()
        while not server.over.wait(0.05):
            yield b""

    server = start_scripted(hang)
    project.write("messages/a.yaml", THANKS)
    environ = {"TOLOKA_TOKEN": TOKEN, "PYTHONFAULTHANDLER": "1"}
    process = project.start("send", "--target", server.url, **environ)
    assert reached.wait(TIMEOUT_S)
    process.send_signal(signal.SIGABRT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert "most recent call first" in err
    check_unseen(project, Result(process.returncode, out, err))


BREAKS_CONNECTING = """
import sys
def tell(event, args):
    if event == "socket.connect":
        raise RuntimeError("the header was: OAuth TOKEN, or in percents QUOTED")
sys.addaudithook(tell)
"""


@pytest.mark.parametrize("holder", ["variable", "file"])
def test_a_bug_keeps_its_traceback_without_the_token(
    holder: str, project: Project, start_scripted: StartScripted
) -> None:
    server = start_scripted(no_list)
    project.write("messages/a.yaml", THANKS)
    source = BREAKS_CONNECTING.replace("QUOTED", FORMS["all in percents"])
    project.write("secrets/sitecustomize.py", source.replace("TOKEN", TOKEN))
    file = project.write("secrets/token", TOKEN)
    held = {"TOLOKA_TOKEN": TOKEN} if holder == "variable" else {"TOLOKA_TOKEN_FILE": str(file)}
    where = ("--target", server.url, *QUICK)
    shown = project.run_process("send", *where, **held, PYTHONPATH=beside("secrets"))
    assert shown.code == 1
    assert "RuntimeError: the header was: OAuth ***, or in percents ***" in shown.err
    check_unseen(project, shown)


@pytest.mark.parametrize(
    "args",
    [
        (TOKEN,),
        ("send", TOKEN),
        ("send", "--rate", TOKEN),
        ("send", "--target", TOKEN),
        ("send", "--target", f"https://user:{TOKEN}@toloka.dev"),
        ("plan", "--var", TOKEN),
        ("resolve", TOKEN, "--not-sent"),
    ],
)
def test_a_complaint_does_not_repeat_a_token_that_stands_on_the_command_line(
    args: tuple[str, ...], project: Project
) -> None:
    project.write("messages/a.yaml", THANKS)
    for name in ("TOLOKA_TOKEN", "RESULTS_TOKEN"):
        shown = project.run(*args, **{name: TOKEN})
        assert shown.code == 2
        check_unseen(project, shown)


def tracebacks(error: BaseException) -> str:
    """A traceback as the most talkative tool would print it, with every local."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format())


class Break(Exception):
    """What no client catches."""


def test_no_frame_of_a_client_shows_the_token() -> None:
    whom = Direct((TOLOKER,))
    message = Message(
        id="m",
        revision=1,
        source="m",
        topic={"EN": "x"},
        text={"EN": "x"},
        answerable=True,
        recipients=whom,
        digest="",
    )

    class Stopping(Pace):
        def __call__(self) -> None:
            raise Break

    client = Client("http://127.0.0.1:9", Secret(TOKEN), timeout_s=1, pace=Stopping(1))
    with pytest.raises(Break) as caught:
        client.deliver(Delivery(message=message, recipients=whom))
    told = tracebacks(caught.value)
    assert "prepared = <PreparedRequest [POST]>" in told
    assert TOKEN not in told
    client.close()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{closed.getsockname()[1]}", Secret(TOKEN), timeout_s=1)
        with pytest.raises(ListError) as failed:
            list(client.threads({}))
    told = tracebacks(failed.value)
    assert "_page_of" in told
    assert TOKEN not in told
    assert TOKEN not in repr([vars(client), *map(vars, vars(client)["_adapters"])])
    client.close()


@pytest.mark.parametrize("content", [TOKEN.encode() + b"\xff", TOKEN.encode() + b"\n" + b"second"])
def test_no_frame_that_reads_a_token_shows_it(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(SurroundingsError) as caught:
        load_token(Target(name="x", url="https://x.example"), {"TOLOKA_TOKEN_FILE": str(file)})
    told = tracebacks(caught.value)
    assert "load_token" in told
    # pytest's own frames hold what this test was given.
    assert TOKEN not in told.partition("in load_token")[2]


# --- what is no token -----------------------------------------------------------------------------

NO_TOKENS = {
    "two lines": f"{TOKEN}\nX-Evil: 1",
    "a carriage return": f"{TOKEN}\rX-Evil: 1",
    "a blank": f"{TOKEN} more",
    "a tab": f"{TOKEN}\tmore",
    "an escape": f"{TOKEN}\x1b[2J",
    "a delete": f"{TOKEN}\x7f",
    "a separator at its end": f"{TOKEN}\x1f",
    "Latin-1": f"{TOKEN}\xe9",
    "Cyrillic": f"{TOKEN}\u0436",
    "a mark at its beginning": f"\ufeff{TOKEN}",
    "a blank that is none": f"{TOKEN}\xa0",
    "too much": TOKEN * 400,
}


@pytest.mark.parametrize("name", NO_TOKENS)
def test_what_is_no_token_is_refused_unseen(name: str, project: Project) -> None:
    held = NO_TOKENS[name]
    file = project.write("secrets/token", held)
    for environ in ({"TOLOKA_TOKEN": held}, {"TOLOKA_TOKEN_FILE": str(file)}):
        variable = next(iter(environ))
        assert refusal(project, environ, "production") == f"{variable} {HOLDS_NONE}"


HOLDS_NONE = "does not hold a token: one line of plain ASCII without spaces is expected"


def test_what_is_no_token_ends_the_run_before_anything_leaves(
    project: Project, start_scripted: StartScripted
) -> None:
    server = start_scripted(no_list)
    project.write("messages/a.yaml", THANKS)
    where = ("send", "--target", server.url, *QUICK)
    shown = project.run(*where, TOLOKA_TOKEN=f"{TOKEN}\nX-Evil: 1")
    assert (shown.code, shown.err) == (2, f"error: TOLOKA_TOKEN {HOLDS_NONE}\n")
    check_unseen(project, shown)
    shown = project.run(*where, TOLOKA_TOKEN="")
    assert shown.code == 2
    assert "needs a token: set TOLOKA_TOKEN, or" in shown.err
    shown = project.run(*where, TOLOKA_TOKEN=TOKEN, TOLOKA_ACT_UNDER_ACCOUNT_ID="a\nX-Evil: 1")
    assert shown.code == 2
    assert "TOLOKA_ACT_UNDER_ACCOUNT_ID does not hold an account's id" in shown.err
    assert server.requests == []


@pytest.mark.parametrize("held", ["", " ", "\r\n"])
def test_an_empty_token_is_none(held: str, project: Project) -> None:
    said = refusal(project, {"TOLOKA_TOKEN": held}, "production")
    assert said.startswith("production needs a token: set TOLOKA_TOKEN, or")
    file = project.write("secrets/token", held)
    assert HOLDS_NONE in refusal(project, {"TOLOKA_TOKEN_FILE": str(file)}, "production")


@pytest.mark.parametrize("account", ["a\nX: 1", "a\r", "a b", "\u0436", "\xe9", "x" * 201])
def test_what_is_no_account_is_refused(account: str, project: Project) -> None:
    environ = {"TOLOKA_TOKEN": TOKEN, "TOLOKA_ACT_UNDER_ACCOUNT_ID": account}
    assert refusal(project, environ, "production") == (
        "TOLOKA_ACT_UNDER_ACCOUNT_ID does not hold an account's id: plain ASCII without spaces is "
        "expected"
    )


@posix
@pytest.mark.parametrize(
    ("mode", "ends", "warns"),
    [(0o600, "\n", False), (0o400, "", False), (0o640, "\r\n", True), (0o604, "\n", True)],
)
def test_a_token_file_that_others_may_read_is_warned_of(
    mode: int, ends: str, warns: bool, project: Project, start_scripted: StartScripted
) -> None:
    server = start_scripted(no_list)
    project.write("messages/a.yaml", THANKS)
    file = project.write("secrets/token", TOKEN + ends)
    file.chmod(mode)
    where = ("--target", server.url, *QUICK)
    shown = project.run("send", *where, TOLOKA_TOKEN_FILE=str(file))
    assert shown.code == 4
    said = "warning: TOLOKA_TOKEN_FILE: others on this machine can read that file; `chmod 600`"
    assert (said in shown.err) == warns
    assert server.requests[0].headers["Authorization"] == f"OAuth {TOKEN}"
    check_unseen(project, shown)


@posix
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("secrets", f"the file cannot be read ({os.strerror(errno.EISDIR)})"),
        ("gone", f"the file cannot be read ({os.strerror(errno.ENOENT)})"),
        ("secrets/binary", "the file cannot be read (it is not UTF-8 text)"),
        ("secrets/big", HOLDS_NONE),
        ("/dev/zero", HOLDS_NONE),
        ("/dev/null", HOLDS_NONE),
    ],
)
def test_a_token_file_that_will_not_do_is_refused_unseen(
    path: str, said: str, project: Project
) -> None:
    project.write("secrets/binary", TOKEN.encode() + b"\xff\xfe")
    project.write("secrets/big", TOKEN)
    # Nobody could hold it in memory.
    os.truncate(project.root / "secrets/big", 2**40)
    environ = {"TOLOKA_TOKEN_FILE": str(project.root / path)}
    assert said in refusal(project, environ, "production")


# --- other processes ------------------------------------------------------------------------------

WATCHES = """
import os, sys
STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system")
def tell(event, args):
    if event in STARTS:
        env = args[-1] if event in ("subprocess.Popen", "os.posix_spawn", "os.exec") else None
        env = dict(os.environ) if env is None else env
        with open(os.environ["STARTED"], "a") as log:
            log.write(ascii([event, args[:2], env]) + chr(10))
sys.addaudithook(tell)
"""
STARTS_ONE = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(.5)'])"
)
TEMPLATES = """\
topic: {EN: "Thank you, {{ row.name }}!"}
text: {EN: "{% for each in range(100) %}{{ each }} {% endfor %}{% include 'sign.j2' %}"}
recipients_select_type: DIRECT
recipients_ids: ["{{ row.id }}"]
for_each: rows.csv
"""
STEADY_S = 0.3
"""A process that was just made is for a moment still a copy of the one that made it."""


class Watch(threading.Thread):
    """Looks at the arguments and the environment of everything below a process, while it runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.seen: set[int] = set()
        self.with_token: dict[int, list[float]] = {}
        self.in_arguments: set[bytes] = set()
        self.is_over = threading.Event()
        self._pid = pid

    @property
    def leaks(self) -> list[int]:
        spans = self.with_token.items()
        return [pid for pid, at in spans if pid != self._pid and at[-1] - at[0] > STEADY_S]

    def run(self) -> None:
        while not self.is_over.wait(0.005):
            for pid in below(self._pid):
                self._look(pid)

    def _look(self, pid: int) -> None:
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return
        self.seen.add(pid)
        if TOKEN.encode() in environ:
            self.with_token.setdefault(pid, []).append(time.monotonic())
        if TOKEN.encode() in arguments:
            self.in_arguments.add(arguments)


def below(pid: int) -> Iterator[int]:
    yield pid
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from below(int(child))


def watched(project: Project, *command: str) -> tuple[Watch, list[str], int]:
    """Run a command with the token in its environment; what it started, twice told."""
    log = project.root.parent / "started"
    log.touch()
    project.write("hooks/sitecustomize.py", WATCHES)
    process = subprocess.Popen(
        command,
        cwd=project.root,
        env={
            **os.environ,
            "TOLOKA_TOKEN": TOKEN,
            "PYTHONPATH": beside("hooks"),
            "STARTED": str(log),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    watch = Watch(process.pid)
    watch.start()
    code = process.wait(TIMEOUT_S)
    watch.is_over.set()
    watch.join()
    return watch, log.read_text().splitlines(), code


@pytest.mark.some(2)
@linux
@pytest.mark.parametrize("command", ["validate", "plan", "preview --output p.html", "send"])
def test_no_process_that_is_started_has_the_token(
    command: str, project: Project, start_scripted: StartScripted
) -> None:
    def serve(request: Request) -> Iterator[bytes]:
        time.sleep(0.3)
        raw = no_list(request)
        yield raw if isinstance(raw, bytes) else b""

    server = start_scripted(serve)
    project.write("messages/_partials/sign.j2", "Bye!")
    project.write("messages/rows.csv", "id,name\na,A\nb,B\n")
    project.write("messages/a.yaml", TEMPLATES)
    subprocess.run(["git", "init", "-q", "."], cwd=project.root, check=False)
    target = ("--target", server.url) if command != "validate" else ()
    speed = QUICK if command == "send" else ()
    watch, started, code = watched(project, *COMMAND, *command.split(), *target, *speed)
    assert code == (4 if command == "send" else 0)
    assert watch.seen
    assert watch.leaks == []
    assert watch.in_arguments == set()
    assert [each for each in started if TOKEN in each] == []


@linux
def test_that_watch_sees_a_process_with_the_token(project: Project) -> None:
    watch, started, _ = watched(project, sys.executable, "-c", STARTS_ONE)
    assert len(watch.leaks) == 1
    assert len([each for each in started if TOKEN in each]) == 1
    watch, _, _ = watched(project, sys.executable, "-c", "import time; time.sleep(.2)", TOKEN)
    assert len(watch.in_arguments) == 1


def test_a_password_in_a_refused_url_is_kept_nowhere(project: Project) -> None:
    project.write("messages/m.yaml", direct("a"))
    url = f"https://user:{TOKEN}@127.0.0.1"
    done = project.run("send", "--target", url, "--results", "results.json")
    assert done.code == 2
    assert TOKEN not in done.out + done.err
    assert project.results()["target"] == ""
    assert not any(TOKEN.encode() in content for content in project.files().values())


def test_looking_for_a_secret_takes_little_whatever_the_text_is() -> None:
    for text in ("%41" * 2_500_000, "%73" * 2_500_000, TOKEN[0] * 7_500_000):
        began_s = time.process_time()
        tracemalloc.start()
        assert Mask(TOKEN)(text) == text
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 64 * 1024 * 1024
        assert time.process_time() - began_s < 2

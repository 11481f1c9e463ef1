"""The page in a real browser: what is displayed, and that nothing leaves it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Project, direct, tolokers

if sys.platform == "win32":
    pytest.skip("the browser is spoken to over a POSIX pipe", allow_module_level=True)

from preview.browser import Chromium, NoBrowserError, Page, find_chromium
from preview.pages import HOSTILE, as_seen, letters

# Installing a browser takes longer than any test may.
pytestmark = [pytest.mark.installs, pytest.mark.timeout(600)]

IS_NIGHTLY = os.environ.get("CI", "").lower() not in ("", "0", "false")
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3
SHALOM = "\u05e9\u05dc\u05d5\u05dd"
SALAM = "\u0627\u0644\u0633\u0644\u0627\u0645"

# Every text with its colour and what lies behind it, as WCAG wants them compared.
CONTRASTS = """(() => {
  const channels = color => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (let each = node; each; each = each.parentElement) {
      const found = channels(getComputedStyle(each).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const seen = {};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim()) continue;
    const [a, b] = [light(channels(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const name = node.tagName + '.' + node.className;
    seen[name] = Math.min(ratio, seen[name] ?? 99);
  }
  return seen;
})()"""
# A loading page asks for what it names; this tries to make it ask for more.
REFUSED = """new Promise(done => {
  const found = [];
  document.addEventListener('securitypolicyviolation', event => {
    found.push(event.effectiveDirective);
    if (found.length === 3) done(found.sort());
  });
  const image = new Image();
  image.src = 'http://127.0.0.1:9/image.png';
  const script = document.createElement('script');
  script.textContent = 'document.title = "changed"';
  document.body.append(image, script);
  fetch('http://127.0.0.1:9/').catch(() => 0);
})"""


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all tests of this process."""
    lock = Path(tempfile.gettempdir()) / f"message-runner-chromium-{os.getuid()}.lock"
    try:
        command = find_chromium(lock)
    except NoBrowserError as error:
        if IS_NIGHTLY:
            raise
        pytest.skip(str(error))
    browser = Chromium(command, tmp_path_factory.mktemp("chromium"))
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture
def page(chromium: Chromium) -> Page:
    """An empty page."""
    return chromium.open()


@pytest.fixture(scope="session")
def preview(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of ordinary, long and hostile messages."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("messages/a.yaml", direct(*tolokers(3), text="One\n\n  two\nthree"))
    project.write(
        "messages/b.yaml",
        letters(
            {
                "EN": (LONG, f"Hello!\n{LONG}\nhttps://example.com/{'a' * 200}"),
                "AR": (SALAM, f"{SALAM} 123\nEnglish in between\n{SALAM}"),
                "HE": (SHALOM, SHALOM),
            }
        ),
    )
    for number, text in enumerate(HOSTILE):
        topic = text.replace("\n", " ").replace("\r", " ")
        waiver = {"mojibake": "hostile", "bidi": "hostile"}
        source = letters({"EN": (topic, text)}, lint=waiver)
        project.write(f"messages/hostile/{number:02}.yaml", source)
    project.write("messages/long/" + "x" * 120 + ".yaml", direct("t" * 64, extra="draft: true\n"))
    done = project.run("preview", "--target", "local")
    assert done.code == 0, done.err
    return project.root / "message-preview.html"


def shown(page: Page, selector: str) -> list[Any]:
    found: list[Any] = page.ask(
        f"[...document.querySelectorAll('{selector}')].map(x => x.innerText)"
    )
    return found


def test_each_text_is_displayed_as_it_is_written(page: Page, preview: Path) -> None:
    page.show(preview)
    assert shown(page, "#message-1 .text") == ["One\n\n  two\nthree"]
    assert shown(page, "#message-2 .topic") == [LONG, SALAM, SHALOM]
    assert shown(page, "#message-2 .text:lang(ar)") == [
        f"{SALAM} 123\nEnglish in between\n{SALAM}",
    ]
    hostile = [text for text in shown(page, ".text") if text in set(map(as_seen, HOSTILE))]
    assert hostile == [as_seen(text) for text in HOSTILE]


def test_the_page_asks_for_nothing_and_complains_of_nothing(page: Page, preview: Path) -> None:
    page.show(preview)
    requests = page.events("Network.requestWillBeSent")
    assert [each["request"]["url"] for each in requests] == [preview.as_uri()]
    for kind in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
        assert page.events(kind) == []
    assert page.events("Page.javascriptDialogOpening") == []
    assert page.ask("document.scripts.length + document.images.length + document.forms.length") == 0
    assert (
        page.ask(
            "document.querySelectorAll(':not(.bar) > svg, iframe, object, embed, link').length"
        )
        == 0
    )


def test_the_policy_would_stop_what_got_in(page: Page, preview: Path) -> None:
    page.show(preview)
    title = page.ask("document.title")
    assert page.ask(REFUSED) == ["connect-src", "img-src", "script-src-elem"]
    assert page.ask("document.title") == title


def test_nothing_needs_a_script(page: Page, preview: Path) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.show(preview)
    assert page.ask("getComputedStyle(document.querySelector('.text')).whiteSpace") == "pre-wrap"


@pytest.mark.parametrize("width", [320, 360, 700, 1000, 1600])
def test_nothing_sticks_out(page: Page, preview: Path, width: int) -> None:
    page.show(preview, width=width)
    assert page.ask("innerWidth") == width
    assert page.ask("document.scrollingElement.scrollWidth") <= width
    inside = "[...document.querySelectorAll('nav, article, .letter, .text, .topic, dd, .chips')]"
    assert page.ask(f"{inside}.filter(x => x.scrollWidth > x.clientWidth + 1).length") == 0


def test_dark_is_dark_and_paper_is_white(page: Page, preview: Path) -> None:
    grounds = {}
    for name, scheme, media in (
        ("light", "light", "screen"),
        ("dark", "dark", "screen"),
        ("paper", "dark", "print"),
    ):
        page.show(preview, scheme=scheme, media=media)
        color = page.ask("getComputedStyle(document.body).backgroundColor")
        grounds[name] = sum(map(int, re.findall(r"\d+", color)[:3])) / 3
    assert grounds["dark"] < 40
    assert grounds["light"] > 220
    assert grounds["paper"] == 255


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(page: Page, preview: Path, scheme: str) -> None:
    page.show(preview, scheme=scheme)
    contrasts = page.ask(CONTRASTS)
    assert len(contrasts) > 10
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}


def test_languages_are_side_by_side_where_there_is_room(page: Page, preview: Path) -> None:
    tops = (
        "new Set([...document.querySelectorAll('#message-2 .letter')].map(x => x.offsetTop)).size"
    )
    page.show(preview, width=1000)
    assert page.ask(tops) == 1
    page.show(preview, width=360)
    assert page.ask(tops) == 3


def test_a_language_from_right_to_left_runs_so(page: Page, preview: Path) -> None:
    page.show(preview)
    directions = (
        "[...document.querySelectorAll('#message-2 .text')].map(x => x.matches(':dir(rtl)'))"
    )
    assert page.ask(directions) == [False, True, True]


def test_the_keyboard_reaches_the_contents_and_a_way_past_them(page: Page, preview: Path) -> None:
    page.show(preview)
    focused = "document.activeElement.getAttribute('href')"
    reached = []
    for _ in range(3):
        page.press("Tab", 9)
        reached.append(page.ask(focused))
    assert reached == ["#messages", "#message-1", "#message-2"]
    page.press("Enter", 13, "\r")
    assert page.ask("location.hash") == "#message-2"
    assert page.ask("document.querySelector('article:target h2').innerText") == "b"


def test_a_screen_reader_hears_names_and_landmarks(page: Page, preview: Path) -> None:
    page.show(preview)
    heard = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in page.call("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
    ]
    for each in (
        ("navigation", "Messages"),
        ("main", ""),
        ("article", "a"),
        ("link", "a Thank you! would send 1 thread"),
        ("heading", "Thank you!"),
        ("group", "AR"),
    ):
        assert each in heard


def test_it_prints(page: Page, preview: Path) -> None:
    page.show(preview)
    assert page.printed().startswith(b"%PDF-")

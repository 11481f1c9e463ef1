from __future__ import annotations

import pytest

from runner.errors import SurroundingsError
from runner.toloka.address import checked_url, is_loopback


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://toloka.dev", "https://toloka.dev"),
        (" https://Toloka.DEV:443/ ", "https://toloka.dev"),
        ("https://x.example:8443/base/", "https://x.example:8443/base"),
        ("http://localhost:80", "http://localhost"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://127.8.8.8", "http://127.8.8.8"),
        ("http://[::1]:8765", "http://[::1]:8765"),
        ("HTTPS://x.example", "https://x.example"),
    ],
)
def test_a_url_has_one_form(given: str, url: str) -> None:
    assert checked_url(given) == url
    assert checked_url(url) == url


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://toloka.dev", "plain http to toloka.dev would show the token to the network: use https (http is for this machine only)"),
        ("http://localhost.evil.example", "plain http to localhost.evil.example would show"),
        ("http://127.0.0.1.evil.example", "plain http to 127.0.0.1.evil.example would show"),
        ("http://10.0.0.1", "plain http to 10.0.0.1 would show"),
        ("http://0.0.0.0", "plain http to 0.0.0.0 would show"),
        ("https://user:s3cret@toloka.dev", "a target URL holds no user, password, query or fragment"),
        ("https://user@toloka.dev", "a target URL holds no user, password, query or fragment"),
        ("https://@toloka.dev", "a target URL holds no user, password, query or fragment"),
        ("https://toloka.dev/?a=1", "a target URL holds no user, password, query or fragment"),
        ("https://toloka.dev/#a", "a target URL holds no user, password, query or fragment"),
        ("https://toloka.dev/api", "write the target URL without /api: it is added"),
        ("https://toloka.dev/api/v1/", "write the target URL without /api: it is added"),
        ("ftp://toloka.dev", "a target URL looks like https://toloka.dev"),
        ("file:///etc/passwd", "a target URL looks like https://toloka.dev"),
        ("https://", "a target URL looks like https://toloka.dev"),
        ("https://toloka.dev:port", "the host or the port of the target URL is wrong"),
        ("https://[::1", "the host or the port of the target URL is wrong"),
    ],
)  # fmt: skip
def test_a_url_that_will_not_do_is_refused(given: str, said: str) -> None:
    with pytest.raises(SurroundingsError) as caught:
        checked_url(given)
    assert str(caught.value).startswith(said)
    assert "s3cret" not in str(caught.value)


def test_this_machine_is_known_by_name_or_address() -> None:
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "127.1.2.3")] == [
        True
    ] * 4
    assert [is_loopback(host) for host in ("localhost2", "toloka.dev", "0.0.0.0", "::", "")] == [
        False
    ] * 5

"""Why a call failed, in plain words, and what ends a run because waiting cannot help."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

# urllib3 is a dependency of requests, not of ours.
HTTP_ERROR: type[Exception] = requests.exceptions.BaseHTTPError  # type: ignore[attr-defined]
FAILURES = (
    *(requests.RequestException, HTTP_ERROR, OSError),
    # What the standard library says of some broken answers.
    *(http.client.HTTPException, ValueError),
)
"""What a call ends with where there is no whole answer."""

TOO_LONG = "the answer is too long"
_CHAIN = 20
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")
_OWN_REASONS = re.compile(r"[\w .,:'-]{1,120}")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer; `lasts` where another attempt would fail alike."""

    said: str
    lasts: bool = False


def failure_of(error: BaseException, url: str) -> Failure:
    """Say why a call to a URL failed. Total, and nothing of a library's insides is in it."""
    host = urlsplit(url).hostname or url
    chain = list(_chain(error))
    is_proxy = any(isinstance(each, requests.exceptions.ProxyError) for each in chain)
    other = f"the proxy of {_setting(_PROXIES)}" if is_proxy else host
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            return Failure(_untrusted(each, other), lasts=True)
        tunnel = _TUNNEL.match(str(each)) if isinstance(each, OSError) else None
        if tunnel is not None:
            return _refused_by_proxy(int(tunnel[1]), host)
    # The innermost knows best.
    told = (_told(each, other) for each in reversed(chain))
    return Failure(next(filter(None, told), f"the connection to {other} failed"))


def no_bundle(path: str) -> str:
    """Say that the certificates to trust cannot be read."""
    return f"{_setting(_BUNDLES)} names {path}, where no certificates can be read"


def no_proxy(host: str) -> str:
    """Say that a proxy cannot be used."""
    return (
        f"the proxy of {_setting(_PROXIES)} cannot be used: http://HOST:PORT is right (socks5:// needs the "
        f"package PySocks); or name {host} in NO_PROXY"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(_CHAIN):
        if seen is None:
            return
        yield seen
        reasons = [seen.__cause__, seen.__context__, getattr(seen, "reason", None), *seen.args]
        seen = next((each for each in reasons if isinstance(each, BaseException)), None)


def _untrusted(error: ssl.SSLCertVerificationError, host: str) -> str:
    why = error.verify_message if _OWN_REASONS.fullmatch(error.verify_message) else "no reason"
    return (
        f"the certificate that answers for {host} is not trusted ({why}): where a private one is "
        f"right, {_setting(_BUNDLES)} names the file with what is to be trusted"
    )


def _setting(names: tuple[str, ...]) -> str:
    return next((name for name in names if os.environ.get(name)), names[0]).upper()


def _refused_by_proxy(status: int, host: str) -> Failure:
    said = f"the proxy refused a connection to {host} (HTTP {status})"
    setting = _setting(_PROXIES)
    if status == 407:
        return Failure(f"{said}: {setting} needs a name and a password", lasts=True)
    lasts = 300 <= status < 500 and status not in (408, 425, 429)
    hint = f": have it allowed there, change {setting}, or name {host} in NO_PROXY"
    return Failure(said + hint if lasts else said, lasts)


def _told(error: BaseException, host: str) -> str | None:
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return TOO_LONG
    if isinstance(error, (TimeoutError, requests.Timeout)):
        return f"no whole answer in time from {host}"
    if isinstance(error, socket.gaierror):
        return f"the address of {host} cannot be found"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with {host}: {(error.reason or 'it broke off').lower().replace('_', ' ')}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.HTTPException):
        return "the answer is no HTTP, or not whole"
    if isinstance(error, OSError) and error.errno and error.strerror:
        return f"the connection to {host} failed: {error.strerror}"
    return None

"""The address of a server of Toloka's: a base URL as it may be written, and as it is kept."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from runner.errors import SurroundingsError

_NETLOC = re.compile(r"(\[[0-9a-f:.]+\]|[\w-]+(\.[\w-]+)*\.?)(:[0-9]+)?", re.ASCII | re.IGNORECASE)
_BASE_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


def checked_url(text: str) -> str:
    """Bring a base URL into one form; raises `SurroundingsError` for one that will not do."""
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise SurroundingsError("the host or the port of the target URL is wrong") from error
    if parts.scheme not in ("http", "https") or not host:
        raise SurroundingsError("a target URL looks like https://toloka.dev")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SurroundingsError("a target URL holds no user, password, query or fragment")
    if not _NETLOC.fullmatch(parts.netloc):
        raise SurroundingsError(
            "the host of a target URL is plain ASCII that every program reads in the same way, as "
            "in toloka.dev (a name in another script begins with xn--)"
        )
    # A trailing dot leads to the same host, and would make a second manifest for it.
    host = host.removesuffix(".")
    if parts.scheme == "http" and not is_loopback(host):
        raise SurroundingsError(
            f"plain http to {host} would show the token to the network: use https "
            "(http is for this machine only)"
        )
    path = parts.path.rstrip("/")
    if path.endswith(("/api", "/api/v1")):
        raise SurroundingsError("write the target URL without /api: it is added")
    if not _BASE_PATH.fullmatch(path):
        raise SurroundingsError("the path of a target URL has letters, digits and -._~ only")
    shown_host = f"[{host}]" if ":" in host else host
    is_default = port in (None, 443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{shown_host}{'' if is_default else f':{port}'}{path}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

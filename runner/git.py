"""The one door to the git command: plumbing only, nothing is checked out, nothing of its user's moves.

No token of ours is in a git process's environment, but for the one call that needs it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import NamedTuple

from runner import masking
from runner.errors import SurroundingsError
from runner.wording import printable, shown_folder

TOKEN_VARIABLE = "RESULTS_TOKEN"  # noqa: S105  (the variable's name, not a token)
_OLDEST = (2, 31)
_LOCAL_TIMEOUT_S = 60.0
_USER = re.compile(r"//[^/\s@]+@")
_OPTIONS = (
    *("--no-replace-objects", "--literal-pathspecs", "-c", "core.hooksPath=/dev/null"),
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.fsmonitor=false"),
    *("-c", "push.followTags=false", "-c", "push.recurseSubmodules=no"),
    *("-c", "i18n.commitEncoding=UTF-8"),
)
_FETCH = (
    *("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"),
    *("--no-prune", "--no-auto-maintenance", "--refmap="),
)
_PUSH = ("push", "--porcelain", "--no-signed", "--no-verify", "--no-recurse-submodules")
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "message-runner"), ("EMAIL", "message-runner@localhost"))
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of git came to; `code` None is a call that took too long and was ended."""

    code: int | None
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace")

    @property
    def said(self) -> str:
        """What git, or the server, said of a failure, on one harmless line."""
        if self.code is None:
            return "it took too long"
        lines = [line.strip() for line in self.err.splitlines()]
        told = [line for line in lines if line and not line.startswith("hint:")]
        return printable("; ".join(told[-6:]))[:600] or f"git ended with {self.code}"


@dataclass(frozen=True, slots=True)
class Remote:
    """A configured remote by its name."""

    name: str
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What gives it `RESULTS_TOKEN`, where there is one."""


class Entry(NamedTuple):
    """A name in a commit's tree."""

    mode: str
    id: str
    path: str


class Repository:
    """The repository that a folder is in. Raises `SurroundingsError` with what to do about it."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self._given = environ
        self._environ = _clean(environ)
        self._check_version()
        for name in self._call("rev-parse", "--local-env-vars").text.split():
            # What CI gives as configuration stays: credentials are there.
            if not name.startswith("GIT_CONFIG_"):
                self._environ.pop(name, None)
        answer = self.run("rev-parse", "--git-common-dir")
        if answer.code != 0:
            raise SurroundingsError(_no_repository(folder, answer.err))
        # All work trees share it, and our own files are there.
        self.common = (folder / answer.text.strip()).resolve()
        self._environ["GIT_SSH_COMMAND"] = self._ssh()

    @property
    def is_shallow(self) -> bool:
        return self.run("rev-parse", "--is-shallow-repository").text.strip() == "true"

    def remote(self, name: str) -> Remote:
        """Find a remote by its name; raises `SurroundingsError` for one that will not do."""
        urls = self.run("remote", "get-url", "--all", "--", name)
        pushed = self.run("remote", "get-url", "--push", "--all", "--", name)
        if urls.code != 0:
            raise SurroundingsError(
                f"{shown_folder(self.folder)} has no remote {name!r}: add it with `git remote add`, or "
                "name another under `results: {remote: …}` in runner.yaml"
            )
        if urls.out != pushed.out or len(urls.text.splitlines()) != 1:
            raise SurroundingsError(
                f"the remote {name!r} is fetched from and pushed to at different or several URLs: "
                "what was sent needs one place; name a remote with one URL"
            )
        if self.config(f"remote.{name}.mirror") == "true":
            raise SurroundingsError(
                f"the remote {name!r} is a mirror, which takes no single branch: name another"
            )
        url = urls.text.strip()
        return Remote(name, _credentials(url, self._given, self._environ))

    def config(self, name: str) -> str | None:
        """The last value of a setting; None where there is none."""
        answer = self.run("config", "--get", name)
        return answer.text.strip() if answer.code == 0 else None

    def check_ref(self, ref: str) -> None:
        """Refuse what git would not take for the full name of a ref."""
        if self.run("check-ref-format", ref).code != 0:
            raise SurroundingsError(f"{ref!r} is no name that git takes for a branch or a ref")

    def tip(self, ref: str) -> str | None:
        """The commit that a ref or an id leads to here; None where there is none."""
        return self._find(f"{ref}^{{commit}}")

    def tree_of(self, commit: str, path: str) -> str | None:
        """The id of a folder in a commit; None where there is none."""
        return self._find(f"{commit}:{path}")

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether a commit, which may be missing here, is another one or before it."""
        return self.run("merge-base", "--is-ancestor", older, newer).code == 0

    def files(self, commit: str) -> Iterator[Entry]:
        """Every name in a commit that is no folder."""
        listed = self._call("ls-tree", "-r", "-z", "--full-tree", commit).out
        for line in filter(None, listed.split(b"\0")):
            about, _, path = line.partition(b"\t")
            mode, _, blob = about.decode().split(" ")
            yield Entry(mode, blob, path.decode(errors="backslashreplace"))

    def blobs(self, ids: Iterable[str], most: int) -> Iterator[bytes]:
        """The contents of blobs, in one pass; raises `SurroundingsError` for one above `most` bytes."""
        with TemporaryFile() as asked:
            asked.writelines(f"{blob}\n".encode() for blob in ids)
            asked.seek(0)
            process = self._start(["cat-file", "--batch", "--buffer"], asked.fileno())
            assert process.stdout is not None  # noqa: S101  (it is a pipe)
            try:
                while head := process.stdout.readline().decode():
                    size = int(head.rsplit(" ", 1)[1]) if " blob " in head else most + 1
                    if size > most:
                        raise SurroundingsError(
                            f"git has no blob {head.split(' ')[0]} of at most {most:,} bytes"
                        )
                    yield process.stdout.read(size + 1)[:-1]
            finally:
                _end(process)
                process.communicate()

    def commit(self, parent: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Make a commit that adds files to another one's, or is the first; gives its id."""
        with TemporaryDirectory(prefix="message-runner-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            if parent is not None:
                self._call("read-tree", parent, environ=index)
            listed = b""
            for path, content in files.items():
                stored = self._call("hash-object", "-w", "--no-filters", "--stdin", stdin=content)
                listed += f"100644 {stored.text.strip()}\t{path}\0".encode()
            self._call("update-index", "-z", "--index-info", stdin=listed, environ=index)
            tree = self._call("write-tree", "--missing-ok", environ=index).text.strip()
        above = ("-p", parent) if parent is not None else ()
        made = self._call("commit-tree", "--no-gpg-sign", *above, tree, stdin=message.encode())
        return made.text.strip()

    def list_remote(self, remote: Remote, ref: str, timeout_s: float) -> Answer:
        """Ask a remote for a ref and its default branch: a commit and a name on each line."""
        args = ("ls-remote", "--quiet", "--symref", "--", remote.name, "HEAD", ref)
        return self.run(*args, timeout_s=timeout_s, environ=remote.environ)

    def fetch(
        self, remote: Remote, refspec: str, timeout_s: float, *, depth: int | None = None
    ) -> Answer:
        """Fetch into a ref of ours; nothing else moves."""
        deep = () if depth is None else (f"--depth={depth}",)
        args = (*_FETCH, *deep, "--", remote.name, refspec)
        return self.run(*args, timeout_s=timeout_s, environ=remote.environ)

    def fetch_missing(self, remote: Remote, commit: str, timeout_s: float) -> None:
        """Fetch in one go what a partial clone has left out of a commit."""
        if self.config(f"remote.{remote.name}.promisor") != "true":
            return
        args = ("rev-list", "--objects", "--no-walk", "--missing=print", commit)
        lines = self._call(*args).text.splitlines()
        ids = "".join(f"{line[1:]}\n" for line in lines if line.startswith("?"))
        if ids:
            fetch = (*_FETCH, "--filter=blob:none", "--stdin", "--", remote.name)
            self.run(*fetch, stdin=ids.encode(), timeout_s=timeout_s, environ=remote.environ)

    def push(self, remote: Remote, commit: str, ref: str, timeout_s: float) -> Answer:
        """Push a commit to a ref: a compare-and-swap, since it is never forced."""
        args = (*_PUSH, "--", remote.name, f"{commit}:{ref}")
        return self.run(*args, timeout_s=timeout_s, environ=remote.environ)

    def run(
        self,
        *args: str,
        stdin: bytes | None = None,
        timeout_s: float = _LOCAL_TIMEOUT_S,
        environ: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call git to its end, or to the end of its time."""
        source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        process = self._start(args, source, environ)
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            return Answer(None, b"", _told(process.communicate()[1]))
        except BaseException:
            _end(process)
            raise
        return Answer(process.returncode, out, _told(err))

    def _find(self, name: str) -> str | None:
        answer = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return answer.text.strip() if answer.code == 0 else None

    def _call(
        self, *args: str, stdin: bytes | None = None, environ: Mapping[str, str] | None = None
    ) -> Answer:
        """Call git for something that has to work."""
        answer = self.run(*args, stdin=stdin, environ=environ)
        if answer.code != 0:
            raise SurroundingsError(
                f"`git {args[0]}` failed in {shown_folder(self.folder)}: {answer.said}"
            )
        return answer

    def _start(
        self, args: Sequence[str], stdin: int, environ: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603  (no shell, and no word of anybody's is an option)
                ["git", *_OPTIONS, *args],  # noqa: S607  (the git that its user has)
                cwd=self.folder,
                bufsize=1024 * 1024,
                env=self._environ | dict(environ or {}),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C on the terminal must not end what records what was sent.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except FileNotFoundError as error:
            raise SurroundingsError(
                "there is no git command, and git 2.31 or later is needed: install it"
            ) from error

    def _check_version(self) -> None:
        said = self._call("version").text
        numbers = re.search(r"(\d+)\.(\d+)", said)
        if numbers is None or tuple(map(int, numbers.groups())) < _OLDEST:
            raise SurroundingsError(f"git 2.31 or later is needed, and this is {printable(said)}")

    def _ssh(self) -> str:
        """The user's ssh command, told to ask nothing."""
        ssh = self._environ.get("GIT_SSH_COMMAND") or self.config("core.sshCommand") or "ssh"
        is_ssh = Path(ssh.split(" ")[0]).name in ("ssh", "ssh.exe")
        return f"{ssh} -oBatchMode=yes" if is_ssh else ssh


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(("TOLOKA_TOKEN", "GIT_TRACE")) and name != TOKEN_VARIABLE
    }
    return (
        kept | _IDENTITY | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GCM_INTERACTIVE": "never"}
    )


def _credentials(
    url: str, given: Mapping[str, str], environ: Mapping[str, str]
) -> Mapping[str, str]:
    """Give `RESULTS_TOKEN` to one URL, in the place of what the checkout has for it."""
    token = masking.Secret(given.get(TOKEN_VARIABLE, "").strip())
    if not token:
        return {}
    masking.remember(token)
    if not url.startswith("https://"):
        raise SurroundingsError(f"{TOKEN_VARIABLE} goes to an https remote only, and this is none")
    code = b64encode(f"x-access-token:{token}".encode()).decode()
    count = int(environ.get("GIT_CONFIG_COUNT") or 0)
    found = {"GIT_CONFIG_COUNT": str(count + 2)}
    # An empty one clears what is there: a server answers two headers with 400.
    for number, value in enumerate(("", f"Authorization: Basic {code}"), count):
        found[f"GIT_CONFIG_KEY_{number}"] = f"http.{url}.extraheader"
        found[f"GIT_CONFIG_VALUE_{number}"] = masking.Secret(value)
    return found


def _no_repository(folder: Path, said: str) -> str:
    if "dubious ownership" in said:
        return (
            f"git does not trust {shown_folder(folder)}, which belongs to somebody else: if it is yours, "
            f"say `git config --global --add safe.directory {folder.resolve()}`"
        )
    return (
        f"{shown_folder(folder)} is in no git repository, and `results` or `policy: reviewed` in "
        "runner.yaml need one: go to a clone, or take them out"
    )


def _told(raw: bytes) -> str:
    # A remote's URL may hold a password.
    return _USER.sub("//***@", masking.masked(raw.decode(errors="replace")))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a call and the helpers that it started."""
    with suppress(OSError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)

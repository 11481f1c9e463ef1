"""`runner.yaml`, the environment and the flags, made into settings.

Nothing here trusts `runner.yaml` with a credential: whoever edits it in a pull request must not be
able to send the token elsewhere, so each target that it defines has a variable of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from runner import masking, paths
from runner.errors import MessagesError, Pointer, SurroundingsError
from runner.files import read_secret
from runner.spec.schema import find_config_faults
from runner.spec.yamlfile import YamlFile, read_yaml
from runner.toloka.address import checked_url
from runner.wording import shown

BUILT_IN_URLS: Mapping[str, str] = {
    "production": "https://toloka.dev",
    # Shut down on 2024-07-01; the name stays for whoever still has it in a script.
    "sandbox": "https://sandbox.toloka.dev",
    "yandex-tasks": "https://tasks.yandex.ru",
}
LOCAL = "local"
STATE_FOLDER = ".message-runner"
RESULTS_FOLDER = "results"
_HEADS = "refs/heads/"
TOKEN_VARIABLE = "TOLOKA_TOKEN"  # noqa: S105  (the variable's name, not a token)
ACCOUNT_VARIABLE = "TOLOKA_ACT_UNDER_ACCOUNT_ID"
_MAX_TOKEN = 4096
# Room for the white space around one.
_MAX_TOKEN_FILE = 2 * _MAX_TOKEN
_ACCOUNT = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where messages go. `url` is None for the emulator that the runner starts itself."""

    name: str
    url: str | None
    token_variable: str = TOKEN_VARIABLE
    account_id: str | None = None
    is_named: bool = True
    """Whether somebody said where to send, as a CI job must; an empty word was to say otherwise."""


@dataclass(frozen=True, slots=True)
class ResultsBranch:
    """Where machines share the manifest: the full name of a ref, and of a remote that has it."""

    ref: str
    remote: str

    @property
    def shown(self) -> str:
        return f"{self.ref.removeprefix(_HEADS)} of {self.remote}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What `runner.yaml` says, or the defaults where there is none."""

    project: Path
    messages_root: Path | None
    file: YamlFile | None = None
    data: Mapping[str, object] = field(default_factory=dict)

    def section(self, name: str) -> Mapping[str, object]:
        return cast("Mapping[str, object]", self.data.get(name, {}))

    def wrong(self, pointer: Pointer, what: str) -> SurroundingsError:
        """Build a complaint of something at a place in the file."""
        where = f"{self.file.place(pointer)}: error: " if self.file else ""
        return SurroundingsError(f"{where}{what}")

    @property
    def store(self) -> Path:
        """The local emulator's store, in a folder of its own."""
        return self.project / STATE_FOLDER / "local.sqlite"


def load_config(flag: Path | None, cwd: Path) -> Config:
    """Load `runner.yaml`, given or found from `cwd` upwards; it is optional unless given.

    Raises `SurroundingsError` with every problem in it.
    """
    # Unlike `Path.is_file` it takes what is too long for a name.
    if flag is not None and not os.path.isfile(flag):  # noqa: PTH113
        raise SurroundingsError(f"--config {shown(flag)}: no such file")
    project = (cwd / flag).parent if flag else paths.find_project(cwd)
    if project is None:
        return Config(project=cwd, messages_root=None)
    path = cwd / flag if flag else project / paths.CONFIG_NAME
    if not path.is_file():
        if os.path.lexists(path):
            raise SurroundingsError(
                f"{shown(path)} is a folder, or a link that leads to no file: put the file itself there"
            )
        root = project / paths.MESSAGES_NAME
        return _checked(Config(project=project, messages_root=root), root)
    if flag is None and not paths.real(path).is_relative_to(paths.real(project)):
        # A pull request can hold a link to any file of the machine that checks it out.
        raise SurroundingsError(
            f"{shown(path)} is a link out of its project: put the file itself there"
        )
    file = _read_config(path)
    data = cast("Mapping[str, object]", file.data or {})
    root = project / str(data.get("messages", paths.MESSAGES_NAME))
    found = Path(os.path.normpath(root)) if root.is_dir() else None
    config = Config(project=project, messages_root=found, file=file, data=data)
    if found is None and "messages" in data:
        raise config.wrong(("messages",), f"there is no folder {shown(root)}")
    return _checked(config, root)


def _checked(config: Config, root: Path) -> Config:
    """A pull request can move the messages folder, and must not move it out of its repository."""
    there, top = (Path(os.path.normpath(path.absolute())) for path in (root, config.project))
    if there.is_relative_to(top) and not paths.has_link(there, top):
        return config
    said = f"the messages folder {shown(root)} lies outside the project or behind a link"
    raise config.wrong(("messages",), f"{said}: put the folder itself there")


def _read_config(path: Path) -> YamlFile:
    try:
        file = read_yaml(path, shown(path), {"variables": "printed"})
    except MessagesError as error:
        raise SurroundingsError(str(error)) from error
    faults = find_config_faults(file.data if file.data is not None else {})
    if faults:
        raise SurroundingsError("\n".join(str(file.problem(fault)) for fault in faults))
    return file


def choose_target(config: Config, flag: str | None, environ: Mapping[str, str]) -> Target:
    """Choose the target: `--target`, else `TOLOKA_TARGET`, else `runner.yaml`, else `local`."""
    asked = flag if flag is not None else environ.get("TOLOKA_TARGET")
    if asked and not asked.isprintable():
        # It is printed in logs that read commands from lines of their own.
        raise SurroundingsError("the target holds a line end or another control character")
    account = environ.get(ACCOUNT_VARIABLE) or None
    if account and not _ACCOUNT.fullmatch(account):
        raise SurroundingsError(
            f"{ACCOUNT_VARIABLE} does not hold an account's id: plain ASCII without spaces is expected"
        )
    if asked and "://" in asked:
        url = checked_url(asked)
        return Target(name=url, url=url, account_id=account)
    name = asked or cast("str | None", config.data.get("target"))
    if name is None or name == LOCAL:
        return Target(name=LOCAL, url=None, is_named=name is not None and asked != "")
    if name in BUILT_IN_URLS:
        return Target(name=name, url=BUILT_IN_URLS[name], account_id=account)
    targets = config.section("targets")
    entry = targets.get(name)
    if isinstance(entry, Mapping):
        return _configured_target(config, name, entry, account)
    known = ", ".join([LOCAL, *BUILT_IN_URLS, *targets])
    raise SurroundingsError(
        f'there is no target "{name}": use one of {known}, or a URL (https://…)'
    )


def _configured_target(
    config: Config, name: str, entry: Mapping[str, object], account: str | None
) -> Target:
    pointer = ("targets", name)
    if name == "file" or name.endswith("-file"):
        # TOLOKA_TOKEN_FILE already means something else.
        raise config.wrong(pointer, f'a target cannot be called "{name}": choose another name')
    try:
        url = checked_url(str(entry["url"]))
    except SurroundingsError as error:
        raise config.wrong((*pointer, "url"), str(error)) from error
    own = cast("str | None", entry.get("act_under_account_id"))
    return Target(
        name=name,
        url=url,
        token_variable=f"{TOKEN_VARIABLE}_{name.upper().replace('-', '_')}",
        account_id=account or own,
    )


def manifest_path(config: Config, target: Target, flag: Path | None) -> Path:
    """The manifest of a target where it is a file: `results/<host>.jsonl`."""
    return flag or config.project / RESULTS_FOLDER / f"{host_of(target)}.jsonl"


def host_of(target: Target) -> str:
    """What a target's manifest is named after: its host, with the port where it is not the usual."""
    netloc = LOCAL if target.url is None else urlsplit(target.url).netloc
    return netloc.replace("[", "").replace("]", "").replace(":", "-")


def results_branch(config: Config, target: Target, flag: Path | None) -> ResultsBranch | None:
    """The branch that a remote target's manifest is on; None where it is a file."""
    section = config.section("results")
    if flag is not None or target.url is None or not section:
        return None
    if ("branch" in section) == ("ref" in section):
        raise config.wrong(("results",), "`results` takes one of `branch` and `ref`")
    ref = section.get("ref") or f"{_HEADS}{section['branch']}"
    return ResultsBranch(str(ref), str(section.get("remote", "origin")))


def load_token(
    target: Target, environ: Mapping[str, str], warn: Callable[[str], object] = lambda _: None
) -> masking.Secret:
    """Read the target's token from its variable, or from the file that `…_FILE` names.

    `warn` takes what is unwise about the file.
    """
    name = target.token_variable
    file = environ.get(f"{name}_FILE")
    if environ.get(name, "").strip():
        text = masking.Secret(environ[name])
    elif file:
        name = f"{name}_FILE"
        text = _read_token(Path(file), name, warn)
    else:
        raise SurroundingsError(
            f"{target.name} needs a token: set {name}, or {name}_FILE to a file that holds it"
        )
    token = masking.Secret(text.strip(" \t\r\n"))
    if not token or len(token) > _MAX_TOKEN or not all("!" <= char <= "~" for char in token):
        raise SurroundingsError(
            f"{name} does not hold a token: one line of plain ASCII without spaces is expected"
        )
    masking.remember(token)
    return token


def _read_token(path: Path, name: str, warn: Callable[[str], object]) -> masking.Secret:
    try:
        text, is_shared = read_secret(path, _MAX_TOKEN_FILE + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        failure = SurroundingsError(f"{name}: the file cannot be read ({why})")
    else:
        if is_shared:
            warn(f"{name}: others on this machine can read that file; `chmod 600` keeps it yours")
        return text
    # Raised here, it does not carry what the file holds.
    raise failure


def load_variables(
    config: Config, var_files: Sequence[Path], assignments: Sequence[str]
) -> tuple[Mapping[str, object], Mapping[str, object], Mapping[str, str]]:
    """Load what stands below a spec's own variables, and what beats them.

    The first mapping is the configuration's; the second is `--var-file`s, later ones winning; the
    third is what `--var` says, which beats all.
    """
    above: dict[str, object] = {}
    assigned: dict[str, str] = {}
    for path in var_files:
        above.update(_variables_in(path))
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise SurroundingsError(
                f'--var takes NAME=VALUE, with a name of letters, digits and _: not "{name[:60]}"'
            )
        assigned[name] = value
    return config.section("variables"), above, assigned


def _variables_in(path: Path) -> Mapping[str, object]:
    try:
        file = read_yaml(path, shown(path), "printed")
    except MessagesError as error:
        raise SurroundingsError(f"--var-file: {error}") from error
    data = {} if file.data is None else file.data
    if not isinstance(data, dict):
        raise SurroundingsError(f"--var-file: {file.place()}: expected lines like name: value")
    if isinstance(data.get("variables"), dict):
        raise SurroundingsError(
            f"--var-file: {file.place(('variables',), at_key=True)}: write the names at the left "
            "margin, without `variables:` around them"
        )
    for name in data:
        if not name.isidentifier():
            where = file.place((name,), at_key=True)
            raise SurroundingsError(
                f"--var-file: {where}: a variable's name has letters, digits and _ only"
            )
    return data

"""The policy `reviewed`: only what stands on the remote's branch goes to a remote target."""

from __future__ import annotations

from pathlib import Path

from support import Project, direct, reached, tolokers

from runner.emulator import Emulator

from .world import clone, git, new_remote

FILES = {
    "runner.yaml": "policy: {reviewed: main}\nsuppress: never.txt\n",
    "never.txt": "toloker-0002\n",
    "messages/thanks.yaml": direct(*tolokers(3), text="Thank you. {% include 'sign.j2' %}"),
    "messages/list.yaml": "topic: {EN: A}\ntext: {EN: B}\nrecipients_select_type: DIRECT\n"
    "recipients_file: list.csv\n",
    "messages/list.csv": "toloker_id\ntoloker-0000\n",
    "messages/rows.yaml": "topic: {EN: C}\ntext: {EN: '{{ row.n }}'}\nfor_each: rows.csv\n"
    "recipients_select_type: DIRECT\nrecipients_ids: ['{{ row.toloker_id }}']\n",
    "messages/rows.csv": "toloker_id,n\ntoloker-0001,5\n",
    "messages/_partials/sign.j2": "We\n",
}


def begin(tmp_path: Path, files: dict[str, str], *options: str) -> tuple[Project, Project]:
    """A clone in which these files were merged, and a second one, made after it."""
    bare = new_remote(tmp_path)
    one = Project(clone(bare, tmp_path / "one"))
    merge(one, files)
    return one, Project(clone(bare, tmp_path / "two", *options))


def merge(project: Project, files: dict[str, str]) -> None:
    for path, text in files.items():
        project.write(path, text)
    git(project.root, "add", ".")
    git(project.root, "commit", "--quiet", "-m", "Merged")
    git(project.root, "push", "--quiet", "origin", "main")


def send(project: Project, emulator: Emulator, *args: str) -> tuple[int, str]:
    result = project.send(emulator, "--settle", "0", *args)
    return result.code, result.err


def test_what_does_not_stand_there_is_refused(tmp_path: Path, emulator: Emulator) -> None:
    one, two = begin(tmp_path, FILES)
    git(two.root, "update-index", "--assume-unchanged", "never.txt")
    for path, text in FILES.items():
        two.write(path, f"{text}\n")
    two.write("messages/more.yaml", direct("t9"))
    two.write("messages/_partials/more.j2", "Me\n")
    (two.root / "messages" / "link.yaml").symlink_to("list.yaml")
    two.write("notes.txt", "Nobody reads them.\n")
    said = [f"{path}:1:1: error: this file says something else on main of origin" for path in FILES]
    said += [
        f"messages/{name}:1:1: error: this file is not on main of origin"
        for name in ("more.yaml", "_partials/more.j2", "link.yaml")
    ]
    for is_committed in (False, True):
        if is_committed:
            git(two.root, "add", "--all")
            git(two.root, "commit", "--quiet", "-m", "Mine")
        code, told = send(two, emulator)
        assert code == 3, told
        assert told.count(": error: ") == len(said)
        assert not [each for each in said if each not in told]
        assert "commit your change, and push it" in told
    git(two.root, "reset", "--quiet", "--hard", "origin/main")
    for option in ("--var=n=1", f"--var-file={two.root / 'values.yaml'}"):
        two.write("values.yaml", "n: 1\n")
        code, told = send(two, emulator, option, "messages/rows.yaml")
        assert code == 3, told
        assert "runner.yaml:1:20: error: `policy: reviewed` takes no --var" in told
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(f"id: x\n{direct('t9')}")
    code, told = send(two, emulator, str(elsewhere))
    assert code == 3, told
    merge(one, {"messages/thanks.yaml": direct("t9")})
    code, told = send(two, emulator, "messages/thanks.yaml")
    assert code == 3, told
    assert "take what is there with `git pull`" in told
    assert reached(emulator) == []
    assert two.run("plan", "--target", emulator.url).code == 0
    # What has not changed there may go, and all of it to this machine.
    assert send(two, emulator, "messages/rows.yaml")[0] == 0
    git(two.root, "pull", "--quiet")
    assert send(two, emulator)[0] == 0
    assert reached(emulator) == ["t9", "toloker-0000", "toloker-0001"]
    two.write("messages/more.yaml", direct("t10"))
    assert two.run("send", "--target", "local").code == 0


def test_a_checkout_may_be_shallow_and_have_other_line_ends(
    tmp_path: Path, emulator: Emulator
) -> None:
    options = ("--depth=1", "--config=core.autocrlf=true")
    one, two = begin(tmp_path, FILES, *options)
    assert b"\r\n" in (two.root / "messages" / "thanks.yaml").read_bytes()
    merge(one, {"README": "Changed.\n"})
    refs = git(two.root, "for-each-ref")
    code, told = send(two, emulator)
    assert code == 0, told
    assert git(two.root, "for-each-ref") == refs
    assert git(two.root, "rev-list", "--count", "HEAD") == "1"
    assert not (two.root / ".git" / "FETCH_HEAD").exists()


def test_a_branch_that_cannot_be_had_lets_nothing_through(
    tmp_path: Path, emulator: Emulator
) -> None:
    _, two = begin(tmp_path, FILES)
    for policy, why in {
        "policy: {reviewed: other}": "there is no branch other on origin yet",
        "policy: {reviewed: main}\nresults: {remote: o, branch: r}": "has no remote 'o'",
    }.items():
        two.write("runner.yaml", f"{policy}\n")
        code, told = send(two, emulator)
        assert code == 2, told
        assert why in told
    two.write("runner.yaml", FILES["runner.yaml"])
    (tmp_path / "remote.git").rename(tmp_path / "away.git")
    code, told = send(two, emulator)
    assert code == 75, told
    assert "main of origin cannot be reached" in told
    assert reached(emulator) == []

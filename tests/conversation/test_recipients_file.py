from __future__ import annotations

from support import Project, reached, threads

from runner.emulator import Emulator

from .talk import SECRET, complaints, sent_ok, spec

FORM = {"topic": {"EN": "Hi"}, "text": {"EN": "Hi"}, "recipients_select_type": "DIRECT"}


def from_file(name: str, **keys: object) -> str:
    """A message to the ids in a file; `recipients_file` is line 4."""
    return spec(**FORM, recipients_file=name, **keys)


FORMS: dict[str, tuple[str, bytes]] = {
    "txt": ("txt", b"ann\nbob\n0123\n"),
    "txt-of-windows": ("txt", b"\xef\xbb\xbf ann \r\n\r\nbob\r\nann\r\n0123"),
    "csv": ("csv", b"name,toloker_id\nx,ann\ny,bob\nz,0123\n"),
    "csv-of-windows": ("csv", b"\xef\xbb\xbftoloker_id\r\nann\r\n\r\nbob\r\nann\r\n0123\r\n"),
    "column": ("csv", b"worker,toloker_id\n ann ,x\nbob,y\n0123,z\n"),
}


def test_ids_come_from_a_file_each_once(project: Project, emulator: Emulator) -> None:
    for name, (ending, data) in FORMS.items():
        keys = {"recipients_column": "worker"} if name == "column" else {}
        form = from_file(f"{name}.{ending}", **keys)
        project.write(f"messages/{name}.yaml", form.replace('"Hi"', f'"{name}"', 1))
        project.write(f"messages/{name}.{ending}", data)
    assert sent_ok(project, emulator) == {"sent": len(FORMS)}
    found = {
        each["topic"]["EN"]: each["compose_details"]["recipients_ids"] for each in threads(emulator)
    }
    assert found == {name: ["ann", "bob", "0123"] for name in FORMS}


def test_a_long_file_is_cut_into_hundreds_and_one_more_id_is_sent_alone(
    project: Project, emulator: Emulator
) -> None:
    ids = [f"t{number:03}" for number in range(250)]
    project.write("messages/a.yaml", from_file("ids.txt"))
    project.write("messages/ids.txt", "\n".join(ids))
    assert sent_ok(project, emulator) == {"sent": 3}
    project.write("messages/ids.txt", "\n".join(["new", *ids]))
    assert sent_ok(project, emulator) == {"sent": 1, "already_sent": 3}
    sizes = [len(each["compose_details"]["recipients_ids"]) for each in threads(emulator)]
    assert (sorted(sizes), reached(emulator)) == ([1, 50, 100, 100], sorted(["new", *ids]))


NOT_AN_ID = (
    "error: this is not an id: it holds a space (U+0020); "
    "an id has 1 to 64 letters, digits, - and _, and nothing around it"
)
BAD: dict[str, tuple[str, str | bytes, list[str]]] = {
    "a": ("txt", f"ann\n{SECRET} x\nbob\nc d\n", [f"a.txt:2:1: {NOT_AN_ID}", f"a.txt:4:1: {NOT_AN_ID}"]),
    "b": ("txt", "\n\n", ["b.yaml:4:18: error: the list of recipients is empty; name somebody"]),
    "c": ("csv", f"ann\n{SECRET} x\n", ["c.csv:1:1: error: the header has no column toloker_id; it has ann"]),
    "d": ("csv", f"toloker_id,x\n,{SECRET}\n", [f"d.csv:2:1: {NOT_AN_ID}".replace("holds a space (U+0020)", "is empty")]),
    "e": ("csv", "toloker_id\n", ["e.yaml:4:18: error: the list of recipients is empty; name somebody"]),
    "f": ("txt", f"{SECRET}\xe9".encode("latin-1"), ["f.txt:1:7: error: this is not UTF-8, and looks like a Windows code page; save it as UTF-8 (in Excel: CSV UTF-8)"]),
    "g": ("txt", f"{SECRET}\u2028x\n", ["g.txt:1:7: error: a line separator (U+2028) out of a word processor; make it a line end"]),
}  # fmt: skip


def test_a_bad_file_is_complained_of_at_its_line_and_never_quoted(project: Project) -> None:
    wanted = []
    for name, (ending, data, said) in BAD.items():
        project.write(f"messages/{name}.yaml", from_file(f"{name}.{ending}"))
        project.write(f"messages/{name}.{ending}", data)
        wanted += [f"messages/{line}" for line in said]
    # A column that the file does not have, and ids beside the file.
    project.write("messages/h.yaml", from_file("h.csv", recipients_column="worker"))
    project.write("messages/h.csv", f"toloker_id\n{SECRET}\n")
    no_column = "the header has no column worker; the column toloker_id holds ids: name that one"
    project.write("messages/i.yaml", from_file("i.txt", recipients_ids=["ann"]))
    project.write("messages/j.yaml", from_file("j.json"))
    wanted += [
        f"messages/h.csv:1:1: error: {no_column}",
        "messages/i.yaml:5:1: error: `recipients_ids` does not go with `recipients_file`; "
        "keep one of them",
        'messages/j.yaml:4:18: error: `recipients_file` cannot be "j.json"; '
        "name a .txt file with one id a line, or a .csv or .tsv file",
    ]
    done = project.run("validate")
    assert done.code == 3
    assert sorted(complaints(done.out)) == sorted(wanted)
    assert SECRET not in done.out + done.err

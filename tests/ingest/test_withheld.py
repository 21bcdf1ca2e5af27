"""Files that an ingest withholds or skips because of their content, and how it reports them."""

import base64
import os
from dataclasses import replace

import pytest

from streamrag_cli.events import Notice
from streamrag_cli.ingest import compare
from streamrag_cli.ingest.pipeline import ingest
from streamrag_cli.store.registry import open_store
from tests.support.fake_embedder import FakeEmbedder
from tests.support.fake_secrets import AWS_ID, AWS_SECRET, private_key
from tests.support.ingests import Ingests
from tests.support.pdf_bytes import pdf_bytes

KEY = private_key()
TOKEN = "ghp_" + "Wq2RuSunnyB7alcony9zQeKOu5yT4mPnVxL8"
ESCAPED_TOKEN = TOKEN.replace("_", r"\_")


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_file_that_contains_a_key_is_withheld_and_counted(ingests: Ingests, dry_run: bool) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/notes.md", f"Keep this.\n\n{KEY}")
    ingests.put("docs/db-secret.yaml", "a: b")
    ingests.put("docs/deploy.py", f'connect("{AWS_ID}", "{AWS_SECRET}")')

    ingests.run("docs", dry_run=dry_run)
    assert ingests.reasons == {
        "docs/db-secret.yaml": "possible secret (a suspicious name); pass its path to ingest it",
        "docs/deploy.py": "possible secret (an AWS access key); pass its path to ingest it",
        "docs/notes.md": "possible secret (a private key); pass its path to ingest it",
    }
    assert (ingests.done.counts["added"], ingests.done.skipped) == (1, {"secret": 3})
    if not dry_run:
        assert ingests.stored() == {"docs/a.md": "first"}


def test_an_explicitly_named_file_is_read_regardless_of_its_content(ingests: Ingests) -> None:
    ingests.put("docs/notes.md", f"Keep this.\n\n{KEY}")
    ingests.put("docs/yarn.lock", "left-pad")

    assert ingests.run("docs/notes.md", "docs/yarn.lock") == {"docs/notes.md": "added", "docs/yarn.lock": "added"}
    assert ingests.run("docs") == {"docs/notes.md": "unchanged", "docs/yarn.lock": "unchanged"}


@pytest.mark.fault("secrets-recorded")
@pytest.mark.parametrize("name", ["id_rsa", ".env", "notes.md", "db-secret.yaml", "deep/.ssh/config", "secrets/a.yaml"])
def test_a_recorded_path_does_not_count_as_named_in_this_command(ingests: Ingests, name: str) -> None:
    ingests.put("docs/a.md", "first")
    file = ingests.put(f"docs/{name}", f"{KEY}\n" if name != "deep/.ssh/config" else "Host a\n")
    ingests.run("docs")
    with open_store(ingests.settings.store).writer("default", embedding=FakeEmbedder().name) as writer:
        writer.add_roots([str(file), str(file.parent)])
    ingests.run("docs")
    assert ingests.stored() == {"docs/a.md": "first"}
    ingests.run(rebuild=True)
    assert ingests.stored() == {"docs/a.md": "first"}

    assert ingests.run(f"docs/{name}") == {f"docs/{name}": "added"}


@pytest.mark.fault("secrets-recorded")
def test_a_secret_that_was_named_once_is_removed_when_it_changes(ingests: Ingests) -> None:
    ingests.put("docs/notes.md", f"Keep this.\n\n{KEY}")
    ingests.run("docs/notes.md")
    ingests.put("docs/notes.md", f"Keep this, too.\n\n{KEY}")
    ingests.run("docs")

    assert ingests.stored() == {}


@pytest.mark.fault("secrets-withheld")
def test_a_document_is_removed_while_it_contains_a_key(ingests: Ingests) -> None:
    ingests.put("docs/notes.md", "Keep this.")
    ingests.run("docs")
    ingests.put("docs/notes.md", KEY)
    ingests.run("docs")
    assert ([event.action for event in ingests.events[1:-2]], ingests.stored()) == (["skipped", "deleted"], {})  # type: ignore[union-attr]
    ingests.put("docs/notes.md", "Keep this.")

    assert ingests.run("docs") == {"docs/notes.md": "added"}


@pytest.mark.fault("secrets-withheld")
def test_after_a_new_secret_rule_documents_are_rechecked_once_without_embedding(
    ingests: Ingests, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingests.put("docs/a.md", "first")
    ingests.put("docs/notes.md", KEY)
    with monkeypatch.context() as before:
        before.setattr(compare, "RULES", "0")
        before.setattr("streamrag_cli.ingest.reading.withhold_reason", lambda *_: None)
        before.setattr("streamrag_cli.ingest.reading.withhold_reason_for_text", lambda *_: None)
        assert set(ingests.run("docs").values()) == {"added"}
    embedder.batches.clear()
    assert ingests.run("docs") == {"docs/a.md": "unchanged", "docs/notes.md": "deleted"}
    assert (ingests.stored(), embedder.batches) == ({"docs/a.md": "first"}, [])

    (ingests.home / "docs/notes.md").unlink()
    monkeypatch.setattr("streamrag_cli.ingest.reading.read_record", None)
    assert ingests.run("docs") == {"docs/a.md": "unchanged"}


@pytest.mark.fault("secrets-withheld")
def test_a_new_secret_rule_is_applied_to_the_extracted_text(ingests: Ingests, monkeypatch: pytest.MonkeyPatch) -> None:
    ingests.put("docs/a.pdf", pdf_bytes([[f"Login {AWS_ID}", AWS_SECRET]]))
    with monkeypatch.context() as before:
        before.setattr(compare, "RULES", "0")
        before.setattr("streamrag_cli.ingest.reading.withhold_reason_for_text", lambda *_: None)
        assert ingests.run("docs") == {"docs/a.pdf": "added"}

    assert ingests.run("docs") == {"docs/a.pdf": "deleted"}


def test_a_key_in_a_pdf_is_found_in_the_extracted_text(ingests: Ingests) -> None:
    ingests.put("docs/a.pdf", pdf_bytes([[f"Login {AWS_ID}", AWS_SECRET]]))

    assert ingests.run("docs") == {"docs/a.pdf": "skipped"}
    assert ingests.run("docs/a.pdf") == {"docs/a.pdf": "added"}


def test_a_key_in_an_encoded_mail_message_is_found_in_the_decoded_text(ingests: Ingests) -> None:
    body = base64.encodebytes(f"Login {AWS_ID} with {AWS_SECRET}.".encode()).decode()
    head = "From: a@x.io\nSubject: Login\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n"
    ingests.put("docs/a.eml", f"{head}\n{body}")

    assert ingests.run("docs") == {"docs/a.eml": "skipped"}
    assert ingests.run("docs/a.eml") == {"docs/a.eml": "added"}


def test_a_folder_with_only_secrets_is_not_mistaken_for_an_unmounted_disk(ingests: Ingests) -> None:
    ingests.put("docs/a.csv", "some,text")
    ingests.run("docs")
    (ingests.home / "docs/a.csv").rename(ingests.home / "docs/passwords.csv")
    request = replace(ingests.request("docs"), allow_empty=False)

    assert ingests._actions(ingest(request, ingests.settings, ingests.embedder)) == {
        "docs/a.csv": "deleted",
        "docs/passwords.csv": "skipped",
    }


@pytest.mark.fault("ignored-files")
def test_newly_excluded_documents_are_removed_and_return_without_the_rule(ingests: Ingests) -> None:
    for name in ("docs/a.md", "docs/b.csv", "docs/drafts/c.md"):
        ingests.put(name, "some,text")
    ingests.run("docs")
    less = Ingests(ingests.home, replace(ingests.settings, exclude=("*.csv", "drafts/")))

    assert less.run("docs") == {
        "docs/a.md": "unchanged",
        "docs/b.csv": "deleted",
        "docs/drafts": "skipped",
        "docs/drafts/c.md": "deleted",
    }
    assert less.done.skipped == {"excluded": 2}
    assert ingests.run("docs") == {"docs/a.md": "unchanged", "docs/b.csv": "added", "docs/drafts/c.md": "added"}


@pytest.mark.fault("unsupported-files")
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("report.numbers", b"PK\x03\x04\x14\0\6\0", "unsupported format (.numbers): the content is binary, not text"),
        (
            "old.doc",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "unsupported format (.doc): the content is binary, not text; save the file as .docx",
        ),
        ("pack.zip", b"PK\x03\x04abcdef", "unsupported format (.zip): the content is binary, not text"),
        ("server.log", b"GET / 200\n" * 3 + b"\0" * 64 + b"\nGET /a 200\n", "the content is binary, not text"),
        ("noise", bytes(range(256)) * 4, "the content is binary, not text"),
    ],
)
def test_an_explicitly_named_binary_file_is_a_failure(ingests: Ingests, name: str, content: bytes, reason: str) -> None:
    ingests.put(f"docs/{name}", content)

    assert ingests.run(f"docs/{name}") == {f"docs/{name}": "failed"}
    assert (ingests.reasons, ingests.done.counts["failed"]) == ({f"docs/{name}": reason}, 1)


def test_an_explicitly_named_fifo_is_a_failure(ingests: Ingests) -> None:
    os.mkfifo(ingests.home / "pipe.md")

    assert ingests.run("pipe.md") == {"pipe.md": "failed"}


@pytest.mark.fault("utf-16-without-bom")
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["A berth costs 18.\nFor the night.\n", "Причал стоит 18.\nЗа ночь, и так далее.\n"])
def test_utf_16_without_a_byte_order_mark_is_read_and_reported(ingests: Ingests, encoding: str, text: str) -> None:
    ingests.put("docs/a.txt", text.encode(encoding))

    assert ingests.run("docs") == {"docs/a.txt": "added"}
    assert ingests.reasons == {"docs/a.txt": f"the text has no byte order mark and was read as {encoding}"}
    assert ingests.stored() == {"docs/a.txt": text.strip()}


def test_skipped_files_are_counted_by_reason(ingests: Ingests) -> None:
    for name in ("a.numbers", "b.NUMBERS", "c.ppt", ".hidden.md", "package-lock.json"):
        ingests.put(f"docs/{name}", "text")
    ingests.put("docs/d.md", "text")
    ingests.put("docs/e.md", b"\0\1\2")

    ingests.run("docs")
    assert ingests.done.skipped == {"unsupported": 3, "hidden": 1, "generated": 1, "binary": 1}
    assert ingests.done.unsupported == {".numbers": 2, ".ppt": 1}


@pytest.mark.fault("unsupported-files")
def test_a_folder_in_which_no_file_was_read_causes_a_notice(ingests: Ingests) -> None:
    ingests.put("full/a.md", "text")
    ingests.put("packed/a.zip", "text")
    (ingests.home / "empty").mkdir()

    ingests.run("full", "packed")
    packed = [event.message for event in ingests.events if isinstance(event, Notice)]
    ingests.run("empty")
    empty = [event.message for event in ingests.events if isinstance(event, Notice)]
    assert (packed, empty) == (
        ["no files were read from packed; -v lists the skipped files"],
        ["no files were found in empty"],
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.rst", f"Deploy with {ESCAPED_TOKEN}.\n"),
        ("page.adoc", f"Deploy with {TOKEN.replace('_', '&#95;')}.\n"),
        ("page.1", f".TH DEPLOY 1\n.SH TOKEN\n{TOKEN[:20]}\\&{TOKEN[20:]}\n"),
        ("talk.srt", f"1\n00:00:00,000 --> 00:00:01,000\n{TOKEN[:20]}<i>{TOKEN[20:]}</i>\n"),
        ("titled.html", f"<title>&#{ord(TOKEN[0])};{TOKEN[1:]}</title><p>How to deploy.</p>"),
        ("page.html", f"<p>Deploy with &#{ord(TOKEN[0])};{TOKEN[1:]}.</p>"),
        ("notes.json", f'{{"deploy": "\\u{ord(TOKEN[0]):04x}{TOKEN[1:]}"}}'),
        (
            "members.csv",
            "id,email,hash\n1,a@example.org,$2b$12$Wq2RuSunnyBalcony7zQeKOu5yT4mPnVxL8rGh3sJdCfA9bE1tZk0i\n",
        ),
    ],
)
@pytest.mark.fault("secrets-withheld")
def test_password_hashes_and_secrets_in_escaped_text_are_withheld(ingests: Ingests, name: str, content: str) -> None:
    ingests.put(f"docs/{name}", content)

    assert ingests.run("docs") == {f"docs/{name}": "skipped"}

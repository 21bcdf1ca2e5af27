"""The checks for settings, key, embedder, disk, terminal and engine; a failing one does not stop the others."""

import os
import socket
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from streamrag_cli.doctor import checks
from streamrag_cli.doctor.checks import CheckContext, run_checks
from streamrag_cli.doctor.engine_check import check_engine
from streamrag_cli.doctor.findings import Finding, exit_code_of, failed
from streamrag_cli.doctor.store_check import check_disk
from streamrag_cli.doctor.terminal_check import Screen, check_terminal
from streamrag_cli.engine.address import address_for
from streamrag_cli.errors import ConfigurationError, ExitCode, ModelServerError, StoreError, StreamragError
from streamrag_cli.settings import Settings
from streamrag_cli.store.registry import open_store
from tests.support.command_line import CommandLine
from tests.support.doctor import bad, copy_of, doctor, follow, of_check
from tests.support.files import write
from tests.support.openai_server import OpenAIServer

KEY = "sk-secret-0123456789abcdefghij"
NOWHERE = {"STREAMRAG_BASE_URL": "http://127.0.0.1:9/v1", "STREAMRAG_MODEL": "m"}
SCREEN = Screen(is_terminal=True, encoding="utf-8", colours="truecolor", columns=100, hyperlinks=True)


@pytest.fixture
def user(small: CommandLine, tmp_path: Path) -> CommandLine:
    return copy_of(small, tmp_path)


def test_an_unknown_variable_is_a_warning_with_a_suggestion(user: CommandLine) -> None:
    code, findings = doctor(user.having(STREAMRAG_MODLE="secret"))

    assert (code, bad(findings)) == (0, [("warning", "settings", "unknown_variable", "unset STREAMRAG_MODLE")])
    assert of_check(findings, "settings")[0]["found"] == (
        "STREAMRAG_MODLE is not a setting: did you mean STREAMRAG_MODEL?"
    )


def test_the_hint_for_an_invalid_variable_fixes_it(user: CommandLine) -> None:
    code, findings = doctor(user.having(STREAMRAG_TOP_K="many"))

    hint = "correct the variable, or remove it: unset STREAMRAG_TOP_K"
    assert (code, bad(findings)) == (3, [("failed", "settings", "bad_setting", hint)])
    assert {each["check"] for each in findings} == {"settings", "terminal", "engine", "ocr", "telemetry"}
    command = f"{hint.partition(': ')[2]}; streamrag doctor"
    assert user.having(STREAMRAG_TOP_K="many").shell(command).code == 0


@pytest.mark.parametrize("text", ["top_k = ", "top_q = 3", "top_k = 1000", "port = 99999999"])
def test_the_hint_for_an_invalid_settings_file_fixes_it(user: CommandLine, text: str) -> None:
    file = user.home / "config/streamrag/config.toml"
    write(file, text)

    code, findings = doctor(user)
    (hint,) = {each["hint"] for each in findings if each["state"] == "failed"}
    assert (code, hint) == (3, f"correct the file, or move it away: mv {file} {file}.not-read")
    assert follow(user, hint.partition(": ")[2]).code == 0
    assert doctor(user)[0] == 0


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("ok", "")),
        ({"STREAMRAG_MODEL": "gpt-5"}, ("failed", "key_missing")),
        ({"OPENAI_API_KEY": f"'{KEY}'", **NOWHERE}, ("failed", "key_refused")),
        ({"OPENAI_API_KEY": f"{KEY}\u2026", **NOWHERE}, ("failed", "key_refused")),
    ],
)
def test_a_required_key_must_be_set_and_valid(
    tmp_path: Path, variables: dict[str, str], expected: tuple[str, str]
) -> None:
    findings = [each for each in findings_of(tmp_path, variables) if each.check == "key"]

    assert [(each.state, each.code) for each in findings] == [expected]
    assert KEY not in repr(findings)


def test_a_key_is_never_shown(user: CommandLine) -> None:
    with OpenAIServer() as server:
        outcome = user.having(OPENAI_API_KEY=KEY, STREAMRAG_API_KEY=KEY + "2", OPENAI_BASE_URL=server.base_url).run(
            "doctor", "--debug"
        )

    assert (outcome.code, KEY in outcome.stdout.decode() + outcome.stderr) == (0, False)
    assert "set in STREAMRAG_API_KEY and well-formed" in outcome.stdout.decode()


def test_an_embedder_that_does_not_match_the_collection_is_a_failure(user: CommandLine) -> None:
    code, findings = doctor(user, "--embedding", "openai:words", "--base-url", "http://127.0.0.1:9/v1", "-m", "m")

    (embedding,) = of_check(findings, "embedding")
    assert (embedding["state"], embedding["code"]) == ("failed", "another_embedding")
    assert code == 5  # a store failure outranks a model server failure


def test_a_dimension_that_does_not_match_the_collection_is_a_failure(large: CommandLine, tmp_path: Path) -> None:
    with OpenAIServer(dimension=8) as other:
        code, findings = doctor(copy_of(large, tmp_path), "--base-url", other.base_url)

    (embedding,) = of_check(findings, "embedding")
    assert (code, embedding["found"]) == (
        5,
        "the collection 'default' has vectors with 32 dimensions, but the embedder returned 8",
    )


def test_a_bug_in_one_check_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Path) -> list[Finding]:
        raise RuntimeError(KEY)

    monkeypatch.setattr(checks, "check_disk", broken)
    findings = findings_of(tmp_path, {})

    assert [each.check for each in findings][-5:] == ["disk", "terminal", "engine", "ocr", "telemetry"]
    (disk,) = (each for each in findings if each.check == "disk")
    assert (disk.code, disk.exit_code, disk.found) == ("internal_error", 1, "internal error: RuntimeError")
    assert exit_code_of(findings) == ExitCode.BUG


def test_the_exit_code_is_that_of_the_worst_failure() -> None:
    server, key, store = (
        failed(check, kind("x", code="x"))  # type: ignore[arg-type]
        for check, kind in (("model", ModelServerError), ("key", ConfigurationError), ("store", StoreError))
    )

    assert [exit_code_of(each) for each in ([], [server], [server, key], [server, key, store])] == [0, 4, 3, 5]


def test_the_disk_check_works_before_the_store_exists(tmp_path: Path) -> None:
    (disk,) = check_disk(open_store(tmp_path / "not" / "yet"))

    assert (disk.state, list(disk.figures)) == ("ok", ["free_bytes"])
    assert disk.found.startswith(f"{tmp_path}: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_store_is_a_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StreamragError) as raised:
        list(check_disk(open_store(tmp_path)))
    tmp_path.chmod(0o700)

    assert raised.value.code == "store_not_writable"


def test_a_read_only_store_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "collections" / "notes").mkdir(parents=True)
    (tmp_path / "collections" / "notes" / "current.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(os, "access", lambda *_: False)
    (disk,) = check_disk(open_store(tmp_path))

    assert (disk.state, disk.code) == ("warning", "read_only")
    assert disk.found == f"{tmp_path}: read-only for this user; questions work, but ingesting does not"


@pytest.mark.parametrize(
    ("screen", "environment", "expected"),
    [
        (SCREEN, {}, [("ok", "utf-8, 16 million colours, 100 columns, links to sources", "")]),
        (
            Screen(is_terminal=False, encoding="utf-8", colours="none", columns=100, hyperlinks=False),
            {},
            [("ok", "stdout is not a terminal: plain text, utf-8", "")],
        ),
        (
            Screen(is_terminal=True, encoding="ascii", colours="none", columns=20, hyperlinks=False),
            {"PYTHONIOENCODING": "ascii"},
            [
                (
                    "warning",
                    "the encoding is ascii, so characters outside it are shown as ?",
                    "unset PYTHONIOENCODING",
                ),
                ("warning", "only 20 columns wide: sources are shown without their headings", ""),
                ("ok", "ascii, no colour, 20 columns, no links", ""),
            ],
        ),
    ],
)
def test_terminal_capabilities_are_reported(
    screen: Screen, environment: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    assert [(each.state, each.found, each.hint) for each in check_terminal(screen, environment)] == expected


@pytest.mark.parametrize("obstacle", ["open to others", "a file", "another user's"])
def test_an_unusable_engine_directory_is_a_warning_with_a_working_hint(obstacle: str, tmp_path: Path) -> None:
    directory = tmp_path / f"streamrag-{os.getuid()}"
    if obstacle == "a file":
        directory.touch()
    else:
        directory.mkdir()
        directory.chmod(0o777)
    if obstacle == "another user's":
        if os.getuid():
            pytest.skip("only root can give a directory away")
        os.chown(directory, 12345, 12345)
    (engine,) = check_engine(Settings(store=tmp_path), {"TMPDIR": str(tmp_path)})
    runtime_dir = subprocess.run(
        ["sh", "-c", f'{engine.hint}; printf %s "$XDG_RUNTIME_DIR"'], capture_output=True, text=True, check=True
    ).stdout
    after = list(check_engine(Settings(store=tmp_path), {"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": runtime_dir}))

    assert (engine.state, engine.code) == ("warning", "engine_unusable")
    assert [each.state for each in after] == ["ok"]


def test_a_running_engine_from_another_environment_is_reported(tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as other:
        environment = {"TMPDIR": short}
        path = address_for({**environment, "HTTP_PROXY": "http://other"}).socket
        other.bind(str(path))
        stopped = list(check_engine(Settings(store=tmp_path), environment))
        other.listen()
        running = list(check_engine(Settings(store=tmp_path), environment))

    assert [(each.state, each.code) for each in stopped] == [("ok", "")]
    assert [(each.state, each.code, each.hint) for each in running] == [
        ("warning", "engine_outdated", "streamrag engine stop"),
        ("ok", "", ""),
    ]
    assert running[0].found == "1 engine from another version or environment is still running"


def test_a_stopped_or_disabled_engine_is_not_a_problem(tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/tmp") as short:  # socket paths are limited to 107 bytes
        results = [
            *check_engine(Settings(store=tmp_path), {"TMPDIR": short}),
            *check_engine(Settings(store=tmp_path, engine="off"), {"TMPDIR": short}),
        ]

    assert [(each.state, each.found) for each in results] == [
        ("ok", "not running; the next question starts the engine"),
        ("ok", "disabled; commands run without the engine"),
    ]


def findings_of(home: Path, variables: dict[str, str]) -> list[Finding]:
    environment = {"HOME": str(home), "TMPDIR": str(home), "STREAMRAG_STORE": str(home / "store")} | variables
    return list(run_checks(CheckContext(flags={}, environment=environment, screen=SCREEN)))

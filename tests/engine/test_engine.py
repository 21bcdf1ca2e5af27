"""The engine process: how it is shared, replaced and stopped, and how it treats secrets."""

import asyncio
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import certifi
import psycopg
import pytest

from streamrag_cli.engine.address import UnsafeDirectoryError, address_for, identity
from streamrag_cli.engine.client import EngineService
from streamrag_cli.events import AskEvent, Done, QuestionAsked, Sources
from streamrag_cli.model import DocumentEntry, Passage, Question, Turn
from streamrag_cli.service.interface import Listing, Selection, Service
from streamrag_cli.service.local import LocalService
from streamrag_cli.settings import Settings, read_settings
from tests.support.collection import make_collection
from tests.support.command_line import ROOT, read_until, run_concurrently
from tests.support.engines import engines, start_engine, without_engine
from tests.support.http_client import wait_until
from tests.support.openai_replies import Stall, answer, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.postgres_server import GUARDED, PASSWORD, fresh_schema, guarded
from tests.support.warm_command_line import WarmCommandLine

QUESTION = "Who built the lighthouse?"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def events(stdout: bytes) -> list[dict[str, Any]]:
    """The events that `--jsonl` printed, without the timings, which differ between runs."""
    read = [json.loads(line) for line in stdout.splitlines()]
    for event in read:
        event.pop("timings", None)
    return read


def test_the_first_question_starts_an_engine_for_later_ones(user: WarmCommandLine) -> None:
    first = user.run("ask", "--jsonl", QUESTION)
    assert wait_until(lambda: engines(user) != [])
    (started,) = engines(user)
    second = user.run("ask", "--jsonl", QUESTION)
    (used,) = engines(user)
    direct = without_engine(user).run("ask", "--jsonl", QUESTION)

    assert (first.code, second.code, direct.code) == (0, 0, 0)
    assert events(first.stdout) == events(second.stdout) == events(direct.stdout)
    assert first.stderr == second.stderr == direct.stderr
    assert (used["pid"], used["questions"]) == (started["pid"], started["questions"] + 1)


def test_search_behaves_the_same_with_and_without_the_engine(user: WarmCommandLine) -> None:
    start_engine(user)
    hits = user.run("search", QUESTION)
    nothing = user.run("search", "--min-score", "0.99", "quantum chromodynamics")
    direct = without_engine(user)

    assert hits == direct.run("search", QUESTION)
    assert nothing == direct.run("search", "--min-score", "0.99", "quantum chromodynamics")
    assert (hits.code, nothing.code, engines(user)[0]["questions"]) == (0, 7, 3)


def test_only_the_user_can_access_the_socket(user: WarmCommandLine) -> None:
    start_engine(user)
    directory = Path(user.variables["XDG_RUNTIME_DIR"], "streamrag")
    modes = {each.suffix: stat.S_IMODE(each.stat().st_mode) for each in directory.iterdir()}

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert modes[".sock"] == 0o600
    assert not [mode for mode in modes.values() if mode & 0o077]


@pytest.mark.parametrize("trap", ["open to others", "a link", "a file"])
def test_a_directory_that_is_not_private_is_refused(trap: str, tmp_path: Path) -> None:
    directory = tmp_path / "r" / "streamrag"
    directory.parent.mkdir()
    match trap:
        case "open to others":
            directory.mkdir()
            directory.chmod(0o755)
        case "a link":
            (tmp_path / "elsewhere").mkdir(mode=0o700)
            directory.symlink_to(tmp_path / "elsewhere")
        case _:
            directory.touch()

    with pytest.raises(UnsafeDirectoryError):
        address_for(
            {"XDG_RUNTIME_DIR": str(directory.parent), "TMPDIR": str(directory.parent)} | _short(directory.parent)
        )


def _short(directory: Path) -> dict[str, str]:
    """A variable with a short link to `directory`, whose own path may be too long for a socket."""
    link = Path("/tmp") / f"rt-{os.getpid()}-{abs(hash(directory)) % 10_000}"
    link.unlink(missing_ok=True)
    link.symlink_to(directory)
    return {"XDG_RUNTIME_DIR": str(link)}


def test_without_a_private_directory_the_command_answers_without_the_engine(user: WarmCommandLine) -> None:
    directory = Path(user.variables["XDG_RUNTIME_DIR"], "streamrag")
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    quiet = user.run("search", QUESTION)
    explained = user.run("search", QUESTION, "--debug")
    directory.chmod(0o700)

    assert (quiet.code, quiet.stderr) == (0, "")
    assert "streamrag.engine: continuing without the engine: " in explained.stderr
    assert engines(user) == []


@pytest.mark.parametrize("how", ["flag", "variable", "CI"])
def test_no_engine_is_started_if_the_engine_is_switched_off(how: str, user: WarmCommandLine) -> None:
    flags = ["--no-engine"] if how == "flag" else []
    variables = {"variable": {"STREAMRAG_ENGINE": "off"}, "CI": {"CI": "true"}}.get(how, {})
    outcome = user.having(**variables).run("search", QUESTION, *flags)

    assert outcome.code == 0
    assert engines(user) == []


def test_concurrent_first_questions_start_one_engine(user: WarmCommandLine) -> None:
    outcomes = run_concurrently({str(n): lambda: user.cold.run("search", QUESTION) for n in range(12)})

    assert {outcome.code for outcome in outcomes.values()} == {0}
    assert len({outcome.stdout for outcome in outcomes.values()}) == 1
    assert len(engines(user)) == 1


def test_a_killed_engine_is_replaced(user: WarmCommandLine) -> None:
    before = start_engine(user)
    os.kill(before["pid"], signal.SIGKILL)
    outcome = user.run("search", QUESTION)
    after = start_engine(user)

    assert (outcome.code, after["pid"] != before["pid"]) == (0, True)


def test_a_hanging_engine_is_replaced(user: WarmCommandLine) -> None:
    hung = start_engine(user)
    os.kill(hung["pid"], signal.SIGSTOP)
    try:
        outcome = user.run("search", QUESTION, "--debug")
        after = start_engine(user)
    finally:
        os.kill(hung["pid"], signal.SIGKILL)

    assert outcome.code == 0
    assert "continuing without the engine: " in outcome.stderr
    assert after["pid"] != hung["pid"]


def test_the_command_answers_without_the_engine_if_the_engine_dies_early(user: WarmCommandLine) -> None:
    engine = start_engine(user)
    os.kill(engine["pid"], signal.SIGSTOP)
    with user.running("ask", QUESTION) as asking:
        directory = Path(user.variables["XDG_RUNTIME_DIR"], "streamrag")
        assert wait_until(lambda: not list(directory.glob("*.sock")))
        os.kill(engine["pid"], signal.SIGKILL)
        out, _ = asking.communicate(timeout=60)

    assert asking.returncode == 0
    assert "Ada Brandt" in out.decode()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_engine_that_is_killed_or_hangs_during_an_answer_causes_an_error(
    user: WarmCommandLine, number: signal.Signals
) -> None:
    start_engine(user)
    with OpenAIServer(chat=stream(token("Half an ans"), Stall())) as model:
        with user.running("ask", QUESTION, "--base-url", model.base_url, "-m", "m") as asking:
            text = read_until(asking.stdout, b"Half an ans")
            (engine,) = engines(user)
            os.kill(engine["pid"], number)
            out, err = asking.communicate(timeout=60)
            if number == signal.SIGSTOP:
                os.kill(engine["pid"], signal.SIGKILL)

    assert (asking.returncode, text + out) == (4, b"Half an ans\n")
    assert "the engine stopped while writing the answer" in err.decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupting_a_client_closes_the_engines_connection_to_the_model(
    number: signal.Signals, code: int, user: WarmCommandLine
) -> None:
    start_engine(user)
    with OpenAIServer(chat=stream(token("Half"), Stall())) as model:
        with user.running("ask", QUESTION, "--base-url", model.base_url, "-m", "m") as asking:
            read_until(asking.stdout, b"Half")
            asking.send_signal(number)
            asking.communicate(timeout=30)

        assert asking.returncode == code
        assert model.requests[0].closed_by_client.wait(timeout=10.0)
        assert len(engines(user)) == 1


@pytest.mark.fault("key-leak")
def test_keys_are_sent_with_each_question_and_never_stored(user: WarmCommandLine) -> None:
    start_engine(user)
    with OpenAIServer(chat=answer("x")) as model:
        for key in ("sk-first-0123456789", "sk-second-0123456789"):
            user.having(OPENAI_API_KEY=key, OPENAI_BASE_URL=model.base_url).run("ask", QUESTION, "-m", "m")
        keys = [request.headers["authorization"] for request in model.requests]
    (engine,) = engines(user)
    files = [Path(f"/proc/{engine['pid']}/environ"), Path(f"/proc/{engine['pid']}/cmdline"), Path(engine["log"])]
    readable = b"".join(file.read_bytes() for file in files) + json.dumps(engine).encode()

    assert keys == ["Bearer sk-first-0123456789", "Bearer sk-second-0123456789"]
    assert b"sk-" not in readable


def test_an_engine_inherits_no_descriptors_and_no_working_directory(user: WarmCommandLine) -> None:
    pipe_read, pipe_write = os.pipe()
    os.set_inheritable(pipe_write, True)
    subprocess.run(
        [*user.program, "search", QUESTION],
        cwd=user.directory,
        env=user.environment,
        stdout=subprocess.DEVNULL,
        pass_fds=[pipe_write],
        check=True,
    )
    os.close(pipe_write)
    (engine,) = engines(user)
    os.set_blocking(pipe_read, False)

    assert os.read(pipe_read, 1) == b""  # end of file: the engine does not have the other end open
    assert Path(f"/proc/{engine['pid']}/cwd").readlink() == Path("/")
    assert os.getsid(engine["pid"]) != os.getsid(0)
    os.close(pipe_read)


def test_an_idle_engine_exits(user: WarmCommandLine) -> None:
    user.having(STREAMRAG_ENGINE_IDLE="0.4").run("search", QUESTION)
    directory = Path(user.variables["XDG_RUNTIME_DIR"], "streamrag")

    assert wait_until(lambda: not list(directory.glob("*.sock")))
    assert engines(user) == []


def test_an_engine_exits_after_its_store_is_deleted(user: WarmCommandLine, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(user.variables["STREAMRAG_STORE"], store)
    impatient = user.having(STREAMRAG_STORE=str(store), STREAMRAG_ENGINE_IDLE="2")
    engine = start_engine(impatient)
    shutil.rmtree(store)
    gone = impatient.run("search", QUESTION)

    assert (gone.code, "hint: streamrag ingest PATH" in gone.stderr) == (5, True)
    assert wait_until(lambda: not is_alive(engine["pid"]))


def test_the_engine_is_replaced_after_the_program_changes(user: WarmCommandLine, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "streamrag_cli", tmp_path / "site" / "streamrag_cli")
    installed = user.cold.having(PYTHONPATH=str(tmp_path / "site"), STREAMRAG_ENGINE_IDLE="8")
    before = start_engine(installed)
    os.utime(tmp_path / "site" / "streamrag_cli" / "text.py")
    outcome = installed.run("search", QUESTION)
    after = {each["pid"] for each in engines(installed)}

    assert outcome.code == 0
    assert after - {before["pid"]}
    assert wait_until(lambda: not is_alive(before["pid"]))


def test_the_identity_of_an_engine_depends_on_proxies_but_not_on_settings() -> None:
    assert identity({}) == identity({"OPENAI_API_KEY": "x", "STREAMRAG_MODEL": "m"})
    assert identity({}) != identity({"https_proxy": "http://proxy.example:8080"})


@pytest.mark.postgres
def test_a_question_with_pgpassword_bypasses_the_engine(user: WarmCommandLine, tmp_path: Path) -> None:
    with fresh_schema() as place:
        make_collection(tmp_path, store=place)
        with psycopg.connect(place.url) as owner:
            owner.execute(f"GRANT USAGE ON SCHEMA {place.schema} TO {GUARDED}")
            owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {place.schema} TO {GUARDED}")
        reader = user.having(STREAMRAG_STORE=guarded(place).with_secret(), PGPASSWORD=PASSWORD)
        outcome = reader.run("search", QUESTION)
        explained = reader.run("search", QUESTION, "--debug").stderr

        assert (outcome.code, outcome.stdout) == (0, without_engine(reader).run("search", QUESTION).stdout)
    assert (
        "streamrag.engine: continuing without the engine:"
        " the engine does not receive these environment variables: PGPASSWORD\n"
    ) in explained
    assert engines(user) == []


def test_the_engine_finds_certificates_by_a_relative_path(user: WarmCommandLine) -> None:
    shutil.copy(certifi.where(), user.directory / "ca.pem")
    trusting = user.having(SSL_CERT_FILE="ca.pem", STREAMRAG_BASE_URL="https://127.0.0.1:1/v1", STREAMRAG_MODEL="m")
    start_engine(trusting)
    outcome = trusting.run("ask", QUESTION)

    assert (outcome.code, outcome) == (4, without_engine(trusting).run("ask", QUESTION))
    assert [each["questions"] for each in engines(user)] == [2]


@pytest.mark.fault("read-during-ingest")
def test_a_question_after_an_ingest_is_answered_from_the_new_documents(user: WarmCommandLine, tmp_path: Path) -> None:
    mine = user.having(STREAMRAG_STORE=str(tmp_path / "mine"))
    (mine.directory / "one.md").write_text("# One\n\nThe ferry leaves at nine.\n")
    mine.run("ingest", ".")
    before = mine.run("search", "--min-score", "0", "capital of Peru").stdout
    (mine.directory / "two.md").write_text("# Two\n\nThe capital of Peru is Lima.\n")
    mine.run("ingest", ".")
    after = mine.run("search", "capital of Peru").stdout

    assert b"Lima" not in before
    assert b"Lima" in after
    assert len(engines(user)) == 1


def test_engine_stop_stops_the_engine_and_reports_it(user: WarmCommandLine) -> None:
    engine = start_engine(user)
    status = user.run("engine", "status").stdout.decode()
    stopped = user.run("engine", "stop").stdout
    again = user.run("engine", "stop").stdout

    assert re.match(rf"engine {engine['pid']}, version \S+: 1 question answered, ", status)
    assert (stopped, again) == (b"1 stopped\n", b"no engine is running\n")
    assert wait_until(lambda: not is_alive(engine["pid"]))


def test_an_engine_answers_with_the_history_of_a_conversation(user: WarmCommandLine) -> None:
    start_engine(user)
    settings = read_settings({}, user.environment)
    question = Question(
        text="Could you put that differently?",
        accepted_at=time.perf_counter(),
        history=(Turn(question="What is the range of the tides?", answer="4.1 metres [1].", cited=("gone",)),),
        thread="k3f7q2wa",
        n=7,
    )

    with_engine = _answer(EngineService(user.environment, NoService()), question, settings)
    direct = _answer(LocalService(), question, settings)

    assert with_engine == direct
    assert [(each.n, each.thread) for each in direct if isinstance(each, QuestionAsked)] == [(7, "k3f7q2wa")]
    assert [each.sources[0].source for each in direct if isinstance(each, Sources)] == ["docs/tides.txt"]


class NoService:
    """A service that must not be used."""

    def ask(self, question: Question, settings: Settings) -> AsyncGenerator[AskEvent, None]:
        raise AssertionError("the engine was not used")

    search = ask

    async def read(self, selection: Selection, settings: Settings) -> Passage:
        raise AssertionError("the engine was not used")

    async def list(self, listing: Listing, settings: Settings) -> list[DocumentEntry]:
        raise AssertionError("the engine was not used")


def _answer(service: Service, question: Question, settings: Settings) -> list[AskEvent]:
    """All of an answer's events except the last one, whose timings differ between runs."""

    async def collect() -> list[AskEvent]:
        return [event async for event in service.ask(question, settings)]

    *answered, end = asyncio.run(collect())
    assert isinstance(end, Done)
    return answered

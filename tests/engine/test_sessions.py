"""All of a user's sessions share an engine, and suspended clients do not block it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from streamrag_cli.codec import to_line
from streamrag_cli.engine import process
from streamrag_cli.engine.address import EngineAddress
from streamrag_cli.engine.messages import Request
from streamrag_cli.model import Question
from streamrag_cli.settings import Settings
from tests.support.command_line import PROGRAM, CommandLine, read_until
from tests.support.engines import engines, start_engine
from tests.support.openai_replies import Hold, finish, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.warm_command_line import WarmCommandLine

QUESTION = "Who built the lighthouse?"


@pytest.fixture
def cron_cli(user: CommandLine) -> CommandLine:
    """`user` without the variables that a login sets."""
    return replace(user, variables={**user.variables, "XDG_RUNTIME_DIR": ""})


def test_commands_in_a_terminal_and_in_cron_share_an_engine(user: CommandLine, cron_cli: CommandLine) -> None:
    for first, second in ((user, cron_cli), (cron_cli, user)):
        started = start_engine(first)
        second.run("search", QUESTION)
        (used,) = engines(second)
        assert (used["pid"], used["questions"]) == (started["pid"], 2)
        assert second.run("engine", "stop").stdout == b"1 stopped\n"
        assert engines(first) == []


def test_a_search_that_needs_no_network_uses_an_engine_with_other_proxies(user: CommandLine) -> None:
    start_engine(user.having(https_proxy="http://proxy.example:8080"))
    user.run("search", QUESTION)

    assert [each["questions"] for each in engines(user)] == [2]


def test_an_engine_is_not_shared_with_another_home_directory(user: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    start_engine(user)

    assert engines(replace(user, home=tmp_path / "other")) == []


@pytest.mark.fault("client-suspended")
def test_a_suspended_client_gets_the_complete_answer_when_it_resumes(user: CommandLine) -> None:
    start_engine(user)
    resume = [threading.Event(), threading.Event()]
    with OpenAIServer(
        chat=stream(token("Half "), Hold(resume[0]), token("and half"), Hold(resume[1]), finish())
    ) as model:
        with user.running("ask", QUESTION, "--base-url", model.base_url, "-m", "m") as asking:
            text = read_until(asking.stdout, b"Half")
            asking.send_signal(signal.SIGSTOP)
            resume[0].set()
            time.sleep(6)  # longer than the timeout for a silent engine
            resume[1].set()
            asking.send_signal(signal.SIGCONT)
            out, err = asking.communicate(timeout=60)

    assert (asking.returncode, text + out) == (0, b"Half and half\n"), err
    assert len(engines(user)) == 1


@pytest.mark.fault("client-suspended")
def test_a_stopping_engine_does_not_wait_for_a_blocked_client(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_SEND_TIMEOUT_S", 0.5)
    long = [token("x" * 100_000) for _ in range(40)]
    with OpenAIServer(chat=stream(*long, finish())) as model, TemporaryDirectory(dir="/tmp") as directory:
        asking = replace(settings, base_url=model.base_url, model="m")
        address = EngineAddress(Path(directory), f"test-{os.getpid()}-x")

        async def stop() -> None:
            running = asyncio.create_task(process.Engine(address, idle_s=600).run())
            while not address.socket.exists():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
            question = Question(text=QUESTION, accepted_at=time.perf_counter())
            with socket.socket(socket.AF_UNIX) as stopped, socket.socket(socket.AF_UNIX) as stopping:
                stopped.setblocking(False)
                stopped.connect(str(address.socket))
                await asyncio.get_running_loop().sock_sendall(
                    stopped, to_line(Request(wants="ask", question=question, settings=asking))
                )
                await asyncio.to_thread(model.wait_for_requests, 1, timeout_s=60)
                stopping.connect(str(address.socket))
                stopping.sendall(to_line(Request(wants="stop")))
                await asyncio.wait_for(running, timeout=60)

        asyncio.run(stop())


@pytest.mark.fault("limits-of-a-client")
@pytest.mark.parametrize("prefix", ["prlimit --fsize=1000000", "prlimit --cpu=100", "nice -n 5"])
def test_a_client_with_limits_or_low_priority_starts_no_engine(user: WarmCommandLine, prefix: str) -> None:
    limited = replace(user.cold, program=(*prefix.split(), *PROGRAM))

    assert limited.run("search", QUESTION).code == 0
    assert not list(runtime_directory(user).glob("*.start"))

    start_engine(user)
    assert limited.run("search", QUESTION).code == 0
    assert engines(user)[0]["questions"] == 2


@pytest.mark.fault("engine-files-unusable")
@pytest.mark.parametrize("suffix", ["sock", "start", "log"])
@pytest.mark.parametrize("obstacle", ["folder", "pipe", "loop"])
def test_commands_succeed_even_if_a_file_of_the_engine_is_unusable(
    user: WarmCommandLine, suffix: str, obstacle: str
) -> None:
    start_engine(user)
    assert user.run("engine", "stop").stdout == b"1 stopped\n"
    directory = runtime_directory(user)
    (name,) = {each.stem for each in directory.iterdir()}
    file = directory / f"{name}.{suffix}"
    file.unlink(missing_ok=True)
    if obstacle == "folder":
        file.mkdir()
    elif obstacle == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(file)

    outcomes = [user.run(*command) for command in (("search", QUESTION), ("engine", "status"), ("engine", "stop"))]

    assert [each.code for each in outcomes] == [0, 0, 0], outcomes
    for each in directory.glob(f"{name}.*"):
        each.rmdir() if each.is_dir() and not each.is_symlink() else each.unlink()


def test_an_engine_exits_even_if_one_of_its_threads_hangs(tmp_path: Path) -> None:
    program = """
import asyncio, sys, time
from streamrag_cli.engine import __main__ as entry

class Engine:
    def __init__(self, address, idle_s): pass
    async def run(self):
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)

entry.Engine = Engine
entry.main()
"""
    ended = subprocess.run([sys.executable, "-c", program, tmp_path, "identity", "1"], timeout=60, check=False)

    assert ended.returncode == 0


def runtime_directory(user: CommandLine) -> Path:
    return Path(user.variables["XDG_RUNTIME_DIR"], "streamrag")

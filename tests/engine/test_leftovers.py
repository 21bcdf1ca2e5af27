"""Files left by engines that have ended are removed; engines in a directory that is no longer private are reported."""

import os
import socket
import time
from pathlib import Path

import pytest

from streamrag_cli.engine.address import EngineAddress
from tests.support.engines import engines, start_engine
from tests.support.http_client import wait_until
from tests.support.warm_command_line import WarmCommandLine

QUESTION = "Who built the lighthouse?"
DAY_S = 86_400


def ended_engine(directory: Path, identity: str, *, log: str = "", age_s: float = 0.0) -> EngineAddress:
    """Create the files that remain after an engine was killed, and return the engine's address."""
    address = EngineAddress(directory, identity)
    address.start_lock.touch()
    address.log.write_text(log)
    then = time.time() - age_s
    os.utime(address.log, (then, then))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address.socket))
    return address


def names(directory: Path) -> set[str]:
    return {each.name for each in directory.iterdir()}


@pytest.mark.fault("engine-leftovers")
def test_a_starting_engine_removes_the_files_of_engines_that_have_exited(user: WarmCommandLine) -> None:
    directory = Path(user.variables["XDG_RUNTIME_DIR"], "streamrag")
    directory.mkdir(mode=0o700)
    for number in range(5):
        ended_engine(directory, f"aaaaaa-{number}-aaaaaa")
    recent = ended_engine(directory, "bbbbbb-recent-bbbbbb", log="it failed", age_s=DAY_S / 2)
    ended_engine(directory, "bbbbbb-old-bbbbbb", log="it failed", age_s=DAY_S * 2)
    (directory / "engine-notes.log").mkdir()
    started = Path(start_engine(user)["log"])
    expected = {recent.log.name, "engine-notes.log", *(f"{started.stem}.{each}" for each in ("sock", "start", "log"))}

    assert wait_until(lambda: names(directory) == expected, within_s=10), names(directory)
    (directory / "engine-notes.log").rmdir()


@pytest.mark.fault("engine-leftovers")
def test_the_files_of_a_running_engine_stay_when_another_one_starts(user: WarmCommandLine) -> None:
    first = start_engine(user)
    nowhere = "http://127.0.0.1:9"
    other = user.having(HTTPS_PROXY=nowhere, STREAMRAG_BASE_URL=nowhere, STREAMRAG_MODEL="m")
    assert wait_until(lambda: other.run("search", QUESTION).code == 0 and len(engines(user)) == 2, within_s=60)
    logs = {Path(each["log"]) for each in engines(user)}

    assert (len(logs), Path(first["log"]) in logs) == (2, True)
    assert names(next(iter(logs)).parent) == {
        f"{log.stem}.{suffix}" for log in logs for suffix in ("sock", "start", "log")
    }
    os.kill(first["pid"], 9)
    assert wait_until(lambda: len(engines(user)) == 1, within_s=10)


@pytest.mark.fault("engine-directory-open")
def test_an_engine_in_a_public_directory_is_reported_and_can_be_stopped(
    user: WarmCommandLine,
) -> None:
    pid = start_engine(user)["pid"]
    directory = Path(user.variables["XDG_RUNTIME_DIR"], "streamrag")
    directory.chmod(0o755)
    status, stopped, again = (user.run("engine", each) for each in ("status", "stop", "status"))
    directory.chmod(0o700)

    problem = (
        f"streamrag: the engine cannot be used: the directory {directory} is not private to this user\n"
        f"hint: chmod 700 {directory}\n"
    )
    assert (status.code, status.stderr) == (0, problem)
    assert status.stdout.startswith(b"engine %d, version " % pid)
    assert (stopped.code, stopped.stdout, stopped.stderr) == (0, b"1 stopped\n", problem)
    assert (again.code, again.stdout, again.stderr) == (0, b"no engine was found\n", problem)

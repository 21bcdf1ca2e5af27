"""The units that run `ingest --watch`: a systemd user unit and a launchd agent."""

import plistlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from streamrag_cli.cli.app import app

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNIT = (DEPLOY / "systemd" / "streamrag-watch@.service").read_text(encoding="utf-8")
AGENT = plistlib.loads((DEPLOY / "launchd" / "streamrag-watch.plist").read_bytes())


def flags_of_ingest() -> set[str]:
    parameters = get_command(app).commands["ingest"].params  # type: ignore[attr-defined]
    return {flag for parameter in parameters for flag in parameter.opts}


def test_systemd_verify_finds_no_problems(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze from the package systemd")
    unit = tmp_path / "streamrag-watch@.service"
    assert "%h/.local/bin/streamrag " in UNIT
    unit.write_text(UNIT.replace("%h/.local/bin/streamrag", sys.executable), encoding="utf-8")

    result = subprocess.run([program, "verify", "--user", str(unit)], capture_output=True, text=True, check=False)

    assert (result.stderr, result.returncode) == ("", 0)


def test_both_units_run_a_command_that_exists() -> None:
    (start,) = re.findall(r"^ExecStart=(.*)$", UNIT, flags=re.MULTILINE)
    commands = [shlex.split(start), AGENT["ProgramArguments"]]

    assert [command[1] for command in commands] == ["ingest", "ingest"]
    assert {each for command in commands for each in command if each.startswith("-")} <= flags_of_ingest()


def test_both_units_let_the_watcher_stop_cleanly_on_sigterm() -> None:
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)s$", UNIT, flags=re.MULTILINE)

    assert (int(seconds) > 20, AGENT["ExitTimeOut"] > 20, "\nSuccessExitStatus=143\n" in UNIT) == (True, True, True)

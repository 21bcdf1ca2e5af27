"""The systemd unit, checked with systemd-analyze."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNIT = (ROOT / "deploy" / "systemd" / "streamrag.service").read_text(encoding="utf-8")
MAX_EXPOSURE = 20  # out of 100; a unit without hardening has 96


def analyse(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze from the package systemd")
    unit = folder / "streamrag.service"
    installed_at = "/usr/local/bin/streamrag"
    assert installed_at in UNIT
    unit.write_text(UNIT.replace(installed_at, sys.executable), encoding="utf-8")
    return subprocess.run([program, *arguments, str(unit)], capture_output=True, text=True, check=False)


def test_systemd_verify_finds_no_problems(tmp_path: Path) -> None:
    result = analyse(tmp_path, "verify")

    assert (result.stderr, result.returncode) == ("", 0)


def test_the_service_has_a_low_exposure_score(tmp_path: Path) -> None:
    result = analyse(tmp_path, "security", "--offline=true", f"--threshold={MAX_EXPOSURE}")

    assert result.returncode == 0, result.stdout


def test_all_settings_in_the_unit_are_documented() -> None:
    known = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    names = re.findall(r"\b(STREAMRAG_[A-Z_]+)", UNIT)

    assert names
    assert [name for name in names if f"`{name}`" not in known] == []


def test_systemd_waits_longer_than_the_shutdown_timeout() -> None:
    from streamrag_cli.settings import ServerSettings

    timeout_s = int(re.findall(r"^TimeoutStopSec=(\d+)s$", UNIT, flags=re.MULTILINE)[0])

    assert timeout_s > ServerSettings().grace_s

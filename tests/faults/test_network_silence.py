"""No command sends data on its own, including the engine and the server: their sockets are watched."""

from pathlib import Path
from typing import Any

import pytest

from streamrag_cli.cli.app import app
from tests.support.network_namespace import watched

pytestmark = pytest.mark.timeout(500)  # over 40 s, and more on a busy machine
CODES = {"serve": {143}, "serve workers": {143}}
GROUPS = {group.name for group in app.registered_groups}


@pytest.mark.fault("telemetry")
def test_programs_that_use_the_network_or_leave_files_are_detected(tmp_path: Path) -> None:
    seen = watched("tests.support.leaky_programs", tmp_path)

    assert seen["looked_up"] == ["collector.example.net"]
    assert {name: (each["connected"], each["written"]) for name, each in seen["ended"].items()} == {
        "innocent": ([], []),
        "name": ([], []),
        "tcp": (["192.0.2.1:443"], []),
        "tcp6": (["[2001:db8::1]:443"], []),
        "udp": (["198.51.100.1:8125"], []),
        "later": (["203.0.113.7:443"], []),
        "file": ([], [f"{tmp_path}/cache", f"{tmp_path}/cache/device"]),
        "temporary": ([], []),
    }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The records from all commands, and from 40 s of engine and server; they run concurrently."""
    return watched("tests.support.everyday_use", tmp_path_factory.mktemp("everyday"))


def test_every_tested_command_exits_with_an_expected_code(seen: dict[str, Any]) -> None:
    ended = seen["ended"]

    assert {name: each["stderr"] for name, each in ended.items() if each["code"] not in CODES.get(name, {0})} == {}
    assert {name.split()[0] for name in ended} == {command.name for command in app.registered_commands} | GROUPS


@pytest.mark.fault("telemetry")
def test_no_host_name_is_looked_up(seen: dict[str, Any]) -> None:
    assert seen["looked_up"] == []


@pytest.mark.fault("telemetry")
def test_nothing_is_sent_beyond_the_loopback_interface(seen: dict[str, Any]) -> None:
    assert {name: each["connected"] for name, each in seen["ended"].items() if each["connected"]} == {}


@pytest.mark.fault("telemetry")
def test_no_file_is_left_outside_the_folders_of_streamrag(seen: dict[str, Any]) -> None:
    assert {name: each["written"] for name, each in seen["ended"].items() if each["written"]} == {}

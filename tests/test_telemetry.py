"""Telemetry is disabled in every process before any library is imported."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streamrag_cli.doctor.telemetry_check import check_telemetry
from streamrag_cli.engine.address import environment_for_engine
from streamrag_cli.errors import ConfigurationError
from streamrag_cli.telemetry import SWITCHES, active_telemetry, disable_telemetry
from tests.support.command_line import ROOT

ASKED_FOR = {
    "ORT_DISABLE_TELEMETRY": "0",
    "LANGSMITH_TRACING": "true",
    "LANGSMITH_GATEWAY": "https://gateway.example.net",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://traces.example.net:4318",
    "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
    "Chroma_Otel_Granularity": "all",
    "CHROMA_API_IMPL": "chromadb.api.fastapi.FastAPI",
}


@pytest.mark.fault("telemetry")
@pytest.mark.parametrize("package", ["streamrag_cli", "streamrag_cli.documents.worker", "tests", "tools", "benchmarks"])
def test_importing_any_package_disables_telemetry(package: str) -> None:
    program = f"import {package}, json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT), **ASKED_FOR},
        capture_output=True,
        text=True,
        check=True,
    )

    variables = json.loads(done.stdout)
    assert {name: variables[name] for name in SWITCHES} == SWITCHES
    assert [name for name in variables if name in ASKED_FOR and name not in SWITCHES] == []


def test_disabling_telemetry_keeps_all_other_variables() -> None:
    environment = {**ASKED_FOR, "HOME": "/home/someone", "OPENAI_API_KEY": "key"}
    disable_telemetry(environment)

    assert environment == {"HOME": "/home/someone", "OPENAI_API_KEY": "key", **SWITCHES}
    assert active_telemetry(environment) == []


def test_the_engine_gets_the_telemetry_switches_instead_of_the_callers_values() -> None:
    environment = environment_for_engine(ASKED_FOR)

    assert environment == {**SWITCHES, "MALLOC_ARENA_MAX": "1"}


def test_doctor_confirms_that_telemetry_is_off(tmp_path: Path) -> None:
    (finding,) = check_telemetry({"HOME": str(tmp_path)})

    assert (finding.state, finding.found) == (
        "ok",
        "disabled in all libraries; onnxruntime has left no telemetry files",
    )


@pytest.mark.fault("telemetry-files")
def test_doctor_shows_how_to_remove_telemetry_files(tmp_path: Path) -> None:
    home, cache = tmp_path / "my home", tmp_path / "cache"
    left = [each / "Microsoft/DeveloperTools/.onnxruntime" for each in (cache, home / ".cache")]
    for each in left:
        each.mkdir(parents=True)
        (each / "deviceid").write_text("id", encoding="ascii")
    (tmp_path / ".ses").write_text("session", encoding="ascii")
    environment = {"HOME": str(home), "XDG_CACHE_HOME": str(cache), "TMPDIR": str(tmp_path)}

    (finding,) = check_telemetry(environment)
    subprocess.run(["sh", "-c", finding.hint.replace(" /tmp/.ses", "")], check=True)
    (after,) = check_telemetry(environment)

    assert (finding.state, finding.code) == ("warning", "telemetry_files")
    assert all(str(each) in finding.found for each in left)
    assert [each for each in (*left, tmp_path / ".ses") if each.exists()] == []
    assert after.state == "ok"


def test_doctor_fails_if_a_switch_is_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "ORT_DISABLE_TELEMETRY", "0")

    with pytest.raises(ConfigurationError) as caught:
        list(check_telemetry({}))

    assert caught.value.code == "not_silenced"
    assert "ORT_DISABLE_TELEMETRY" in caught.value.message


def test_every_installed_package_is_on_the_dependencies_page() -> None:
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8").partition("## Telemetry")[2]
    named = {canonicalize_name(word) for word in re.findall(r"[\w.-]*\w", page)}

    installed = installed_with("streamrag", extra="postgres") | installed_with("streamrag", extra="eval")
    assert sorted(installed - named - {"streamrag"}) == []


def installed_with(package: str, *, extra: str = "") -> set[str]:
    """The canonical names of the package and all its direct and indirect dependencies on this system."""
    seen: set[tuple[str, str]] = set()
    waiting = [(package, extra)]
    while waiting:
        name, extra = each = waiting.pop()
        try:
            required = [Requirement(line) for line in requires(name) or []] if each not in seen else []
        except PackageNotFoundError:
            continue
        seen.add(each)
        for one in required:
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(one.name), option) for option in one.extras or {""}]
    return {name for name, _ in seen}

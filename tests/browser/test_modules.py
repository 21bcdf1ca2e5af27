"""Static checks of the files served to browsers: the JavaScript client, types, vendored files."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from streamrag_cli.text import sanitise
from tests.support.chromium import NODE_MODULES, STATIC, require

HERE = Path(__file__).parent
OWN = sorted(path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts)


def node(*arguments: str) -> str:
    require(browser=False)
    done = subprocess.run(["node", *arguments], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_javascript_client_passes_its_own_tests() -> None:
    node("--test", "client.test.mjs")


def test_the_typescript_types_match_the_client_and_its_callers() -> None:
    assert node(str(NODE_MODULES / "typescript" / "bin" / "tsc"), "--project", "tsconfig.json") == ""


def test_the_page_sanitises_text_like_the_server() -> None:
    script = """
        import { plainText } from "../../streamrag_cli/server/static/page/plain-text.js";
        const changes = [];
        for (let code = 0; code < 0x110000; code += 1) {
          const character = String.fromCodePoint(code);
          const plain = plainText(character);
          if (plain !== character) changes.push([code, plain]);
        }
        console.log(JSON.stringify(changes));"""
    changed = {code: sanitise(chr(code)) for code in range(0x110000) if sanitise(chr(code)) != chr(code)}

    assert dict(json.loads(node("--input-type=module", "--eval", script))) == changed


def test_vendored_files_match_their_digests() -> None:
    vendor = STATIC / "vendor"
    table = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", (vendor / "README.md").read_text(), re.MULTILINE))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in vendor.glob("*.js")}

    assert digests == table
    assert all((vendor / re.sub(r"(\.min)?\.js$", ".LICENSE.txt", name)).exists() for name in digests)


def test_every_file_that_the_page_references_exists() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:href|src)="static/([^"]+)"', html))
    imported = {
        (path.parent / name).resolve().relative_to(STATIC).as_posix()
        for path in STATIC.rglob("*.js")
        for name in re.findall(r'from "(\.[^"]+)"', path.read_text(encoding="utf-8"))
    }

    assert [name for name in sorted(named | imported) if not (STATIC / name).is_file()] == []
    assert "page.js" in named


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_page_files_load_nothing_external_and_write_no_html(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text)) - {"http://www.w3.org", "http://127.0.0.1"}

    assert addresses == set()
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|style=\"|\son\w+=\"", text) == []
    )

"""Runs nginx on a free port, with its own folder for everything it writes."""

import grp
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT_CONFIGURATION = (ROOT / "deploy" / "nginx" / "streamrag.conf").read_text(encoding="utf-8")
NAME = "docs.example.org"
DEFAULTS = """
server {
    listen 80;
    location / { proxy_pass http://127.0.0.1:8421; }
}
"""
_MAIN = """
daemon off;
{process}
pid nginx.pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}}
"""


@contextmanager
def running_nginx(configuration: str, folder: Path, *, server_port: int, as_user: str | None = None) -> Iterator[str]:
    """Serve `configuration` with its two ports replaced; yields the address without a trailing slash.

    The worker runs as `as_user`, which requires root; an installed nginx has its own user.
    """
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    site = _replaced(configuration, {"listen 80;": f"listen 127.0.0.1:{port};", ":8421;": f":{server_port};"})
    folder.mkdir()
    (folder / "site.conf").write_text(site, encoding="utf-8")
    main = "master_process off;" if as_user is None else f"user {as_user} {_group_of(as_user)};"
    (folder / "nginx.conf").write_text(_MAIN.format(process=main), encoding="utf-8")
    command = [_program(), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_until_started(process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _group_of(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


def _replaced(text: str, values: dict[str, str]) -> str:
    for documented, value in values.items():
        assert documented in text
        text = text.replace(documented, value)
    return text


def _wait_until_started(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    output = ""
    for line in process.stderr:
        output += line
        if "using the" in line and "event method" in line:  # the sockets are open already
            return
    pytest.fail(f"nginx did not start: {output}")


def _program() -> str:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        missing = "needs nginx: apt-get install nginx-light"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return program

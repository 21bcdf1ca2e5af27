"""`docs/serving.md` says what the server does."""

import re
from pathlib import Path

from fastapi.routing import APIRoute

from streamrag_cli.server import openai_api, operations, rag
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.metrics import Metrics
from streamrag_cli.settings import ServerSettings, Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def test_every_route_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, flags=re.MULTILINE)
    documented = {path for row in rows for path in re.findall(r"/[a-z0-9./-]+", row)}
    routers = (rag.router, openai_api.router, operations.router)
    paths = [route.path for router in routers for route in router.routes if isinstance(route, APIRoute)]
    served = {re.sub(r"/\{.*", "/", path) for path in paths}

    assert served
    assert served - documented == set()


def test_every_metric_is_in_the_table() -> None:
    told = Metrics().render().decode()
    names = set(re.findall(r"^# TYPE (\S+) (?!gauge\b.*_created)", told, flags=re.MULTILINE))

    assert {name for name in names if not name.endswith("_created") and f"`{name}" not in PAGE} == set()


def test_the_limits_are_those_of_the_program() -> None:
    limits, server, settings = Limits(), ServerSettings(), Settings(store=Path())
    rows = dict.fromkeys(line for line in PAGE.split("\n") if line.startswith("| "))
    said = {
        "headers of a request": f"{limits.headers_s:g} s, {limits.headers_bytes // 1024} kB",
        "parameters in an address": f"{limits.query_parameters}",
        "idle connection": f"{limits.idle_s:g} s",
        "silence in a stream": f"{limits.ping_s:g} s",
        "a reader that takes nothing while bytes wait for it": f"{limits.send_stall_s:g} s",
        "events that wait for one reader": f"{limits.waiting_events}",
        "silence of the model": f"{settings.timeout_s:g} s (`STREAMRAG_TIMEOUT`)",
        "stop of the server": f"{server.grace_s:g} s (`STREAMRAG_GRACE`)",
    }
    bodies = [
        f"| body of a request | {limit} |" for limit in (f"{limits.body_s:g} s", f"{limits.body_bytes // 1024} kB")
    ]

    wanted = [f"| {what} | {limit} |" for what, limit in said.items()] + bodies
    assert [row for row in wanted if not any(line.startswith(row) for line in rows)] == []
    assert f"`--max-streams`, {server.max_streams} |" in PAGE
    assert f"`--rate-limit`, {server.rate_limit.removesuffix('/minute')} questions a minute" in PAGE

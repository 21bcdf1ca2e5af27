"""`docs/serving.md` agrees with the server."""

import re
from pathlib import Path

from fastapi.routing import APIRoute

from streamrag_cli.server import openai_api, operations, rag
from streamrag_cli.server.limits import Limits
from streamrag_cli.server.metrics import Metrics
from streamrag_cli.settings import ServerSettings, Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def test_every_route_is_in_the_table_of_the_serving_page() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, flags=re.MULTILINE)
    documented = {path for row in rows for path in re.findall(r"/[a-z0-9./-]+", row)}
    routers = (rag.router, openai_api.router, operations.router)
    paths = [route.path for router in routers for route in router.routes if isinstance(route, APIRoute)]
    served = {re.sub(r"/\{.*", "/", path) for path in paths}

    assert served
    assert served - documented == set()


def test_every_metric_is_on_the_serving_page() -> None:
    exposition = Metrics().render().decode()
    names = set(re.findall(r"^# TYPE (\S+) (?!gauge\b.*_created)", exposition, flags=re.MULTILINE))

    assert {name for name in names if not name.endswith("_created") and f"`{name}" not in PAGE} == set()


def test_documented_limits_match_the_program() -> None:
    limits, server, settings = Limits(), ServerSettings(), Settings(store=Path())
    rows = dict.fromkeys(line for line in PAGE.split("\n") if line.startswith("| "))
    documented_limits = {
        "time to send the request headers": f"{limits.headers_s:g} s",
        "size of the request headers": f"{limits.headers_bytes // 1024} kB",
        "time to send the request body": f"{limits.body_s:g} s",
        "size of the request body": f"{limits.body_bytes // 1024:,} kB",
        "number of query parameters": f"{limits.query_parameters}",
        "idle connection": f"{limits.idle_s:g} s",
        "idle stream": f"{limits.ping_s:g} s",
        "client that does not read while bytes are waiting": f"{limits.send_stall_s:g} s",
        "events queued for one client": f"{limits.waiting_events}",
        "model server that sends nothing": f"{settings.timeout_s:g} s (`STREAMRAG_TIMEOUT`)",
        "server shutdown": f"{server.grace_s:g} s (`STREAMRAG_GRACE`)",
    }

    expected = [f"| {what} | {limit} |" for what, limit in documented_limits.items()]
    assert [row for row in expected if not any(line.startswith(row) for line in rows)] == []
    assert f"`--max-streams` (by default {server.max_streams})" in PAGE
    assert f"`--rate-limit` (by default {server.rate_limit.removesuffix('/minute')} questions a minute)" in PAGE

"""Streams through a real nginx, with the project's configuration and with nginx's defaults."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

from streamrag_cli.server.limits import Limits
from streamrag_cli.settings import ServerSettings, Settings
from tests.support.http_client import QUESTION, ask_url, post_json, request, streaming
from tests.support.nginx import DEFAULTS, NAME, PROJECT_CONFIGURATION, running_nginx
from tests.support.openai_replies import DONE, Hold, answer, finish, stream, token
from tests.support.openai_server import OpenAIServer, Script
from tests.support.running_server import RunningServer, running_server

KEY = "u8-Nginx-brings-3f9a0c"
CONFIGURATIONS = {"project": PROJECT_CONFIGURATION, "defaults": DEFAULTS}
NGINX_TIMEOUT_S = 60
"""How long nginx waits for the next byte of a reply: its default, and the value in the project's configuration."""
both = pytest.mark.parametrize("configuration", CONFIGURATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """nginx, the server behind it, and its model server."""

    url: str
    server: RunningServer
    model: OpenAIServer

    @property
    def headers(self) -> dict[str, str]:
        """The headers from a browser that uses the site's name."""
        return {"Host": NAME}


@contextmanager
def running_site(
    settings: Settings,
    configuration: str,
    folder: Path,
    chat: Script,
    *,
    rate_limit: str = "1000000/minute",
    trusted: tuple[str, ...] = ("127.0.0.1",),
    limits: Limits | None = None,
    read_timeout_s: int = NGINX_TIMEOUT_S,
) -> Iterator[Site]:
    nginx_configuration = with_read_timeout(CONFIGURATIONS[configuration], read_timeout_s)
    site_settings = ServerSettings(rate_limit=rate_limit, allow_host=(NAME,), trusted_proxy=trusted, grace_s=3.0)
    with (
        OpenAIServer(chat=chat) as model,
        running_server(replace(settings, base_url=model.base_url, model="m"), site_settings, limits) as server,
        running_nginx(nginx_configuration, folder / configuration, server_port=server.port) as url,
    ):
        yield Site(url=url, server=server, model=model)


def with_read_timeout(configuration: str, seconds: int) -> str:
    """The configuration with another `proxy_read_timeout`, which is 60 s if it is not set."""
    if "proxy_read_timeout" not in configuration:
        return configuration.replace("location /", f"proxy_read_timeout {seconds}s;\n    location /", 1)
    return configuration.replace(f"proxy_read_timeout {NGINX_TIMEOUT_S}s;", f"proxy_read_timeout {seconds}s;")


@pytest.mark.fault("behind-nginx")
@both
def test_each_piece_arrives_before_the_model_sends_the_next(
    settings: Settings, configuration: str, tmp_path: Path
) -> None:
    holds = [threading.Event() for _ in range(4)]
    steps = [step for hold, text in zip(holds, "abcd", strict=True) for step in (Hold(hold), token(text))]
    chat = stream(*steps, finish(), DONE)
    with (
        running_site(settings, configuration, tmp_path, chat) as site,
        streaming(ask_url(site.url), headers=site.headers) as answered,
    ):
        before_any = [answered.next_of(kind)["type"] for kind in ("status", "sources", "status")]
        arrived = []
        for hold in holds:
            hold.set()
            arrived.append(answered.next_of("token")["token"])
        rest = [event["type"] for event in answered.events()]

    assert before_any == ["status", "sources", "status"]
    assert arrived == ["a", "b", "c", "d"]
    assert rest == ["citations", "notice", "done"]


@both
def test_nginx_passes_on_the_headers_of_a_stream(settings: Settings, configuration: str, tmp_path: Path) -> None:
    names = ("content-type", "cache-control", "content-length", "x-content-type-options")
    with (
        running_site(settings, configuration, tmp_path, answer("Hello")) as site,
        streaming(ask_url(site.url), headers=site.headers) as answered,
    ):
        headers = {name: answered.headers.get(name) for name in names}
        list(answered.lines())

    assert (answered.status, headers) == (
        200,
        {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache, no-transform",
            "content-length": None,
            "x-content-type-options": "nosniff",
        },
    )


@both
def test_a_disconnect_behind_nginx_closes_the_model_call(
    settings: Settings, configuration: str, tmp_path: Path
) -> None:
    chat = stream(token("Half"), Hold(threading.Event()))
    with running_site(settings, configuration, tmp_path, chat) as site:
        with streaming(ask_url(site.url), headers=site.headers) as answered:
            answered.next_of("token")

        assert site.model.requests[0].closed_by_client.wait(timeout=10.0)


def test_a_long_conversation_passes_nginx(settings: Settings, tmp_path: Path) -> None:
    history = [{"question": "And then?", "answer": "a" * 50_000}] * 20
    with running_site(settings, "project", tmp_path, answer("Hello")) as site:
        reply = post_json(f"{site.url}/search", {"query": QUESTION, "history": history}, site.headers)

    assert reply.status == 200


def test_only_pages_of_the_site_may_ask(settings: Settings, tmp_path: Path) -> None:
    with running_site(settings, "project", tmp_path, answer("Hello")) as site:
        statuses = [
            request(ask_url(site.url), headers=site.headers | {"Origin": origin}).status
            for origin in (f"http://{NAME}", "https://elsewhere.example.org")
        ]

    assert statuses == [200, 403]


@pytest.mark.fault("forwarded-addresses")
@pytest.mark.parametrize(
    ("configuration", "trusted"),
    [("project", ("127.0.0.1",)), ("defaults", ())],
    ids=["trusted, project configuration", "untrusted, nginx defaults"],
)
def test_a_forged_forwarded_address_does_not_evade_the_rate_limit(
    configuration: str, trusted: tuple[str, ...], settings: Settings, tmp_path: Path
) -> None:
    limited = running_site(settings, configuration, tmp_path, answer("Hello"), rate_limit="2/minute", trusted=trusted)
    with limited as site:
        statuses = [
            request(ask_url(site.url), headers=site.headers | {"X-Forwarded-For": claimed}).status
            for claimed in ("192.0.2.1", "192.0.2.2", "192.0.2.3")
        ]

    assert statuses == [200, 200, 429]


@pytest.mark.fault("other-user")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: nginx runs as another user")
@pytest.mark.parametrize(
    ("server_settings", "status", "code"),
    [
        (ServerSettings(), 401, "other_user"),
        (ServerSettings(allow_user=("nobody",)), 200, ""),
        (ServerSettings(server_key=KEY), 200, ""),
    ],
    ids=["unknown", "allowed", "with a key"],
)
def test_nginx_running_as_another_user_needs_permission_or_a_key(
    server_settings: ServerSettings, status: int, code: str, settings: Settings, tmp_path: Path
) -> None:
    site_settings = replace(server_settings, allow_host=(NAME,), grace_s=3.0)
    with (
        running_server(settings, site_settings) as server,
        running_nginx(PROJECT_CONFIGURATION, tmp_path / "n", server_port=server.port, as_user="nobody") as url,
    ):
        reply = request(f"{url}/collections", headers={"Host": NAME, "Authorization": f"Bearer {KEY}"})

    assert (reply.status, reply.json.get("code", "")) == (status, code)


@pytest.mark.fault("behind-nginx")
def test_a_stream_stays_open_when_the_model_is_silent_longer_than_nginx_allows(
    settings: Settings, tmp_path: Path
) -> None:
    """All time limits in nginx and the server are a tenth of the real ones. The configurations run concurrently."""
    patient = replace(settings, timeout_s=200.0)
    limits = Limits()
    durations = {each.name: getattr(limits, each.name) / 10 for each in fields(limits) if each.name.endswith("_s")}
    shorter = replace(limits, **durations)
    first_request = threading.Lock()

    def silent_for(configuration: str) -> tuple[str, bool]:
        hold = threading.Event()
        chat = stream(Hold(hold), token("Still here."), finish(), DONE)
        with ExitStack() as running:
            site = running.enter_context(
                running_site(
                    patient, configuration, tmp_path, chat, limits=shorter, read_timeout_s=NGINX_TIMEOUT_S // 10
                )
            )
            with first_request:  # FastAPI builds its routes at the first request, which must not happen in two threads
                request(f"{site.url}/healthz", headers=site.headers)
            answered = running.enter_context(streaming(ask_url(site.url), headers=site.headers))
            site.model.wait_for_requests(1)
            silent_since = time.monotonic()
            lines = answered.lines()
            while time.monotonic() < silent_since + NGINX_TIMEOUT_S / 10 + 2:
                assert next(lines, None) is not None
            hold.set()
            return answered.next_of("token")["token"], list(answered.events())[-1]["done"]

    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(silent_for, CONFIGURATIONS))

    assert ends == [("Still here.", True)] * 2

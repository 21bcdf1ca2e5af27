"""Access control and invalid requests: refused before any search, and never with a 500."""

import base64
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.server.app import create_app
from streamrag_cli.settings import ServerSettings, Settings
from tests.support.http_client import Reply, ask_url, post_json, request
from tests.support.openai_replies import answer
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import RunningServer, running_server

KEY = "k-0123456789abcdef0123456789"
PLENTY = ServerSettings(rate_limit="1000000/minute", grace_s=3.0)
ROUTES = [
    "/",
    "/static/page.js",
    "/rag/stream?query=x",
    "/rag/stream-with-sources?query=x",
    "/search?query=x",
    "/passage?chunk_id=x",
]
ROUTES += ["/v1/models", "/readyz", "/metrics", "/collections", "/openapi.json", "/nowhere"]


@pytest.mark.fault("public-without-key")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7"])
def test_a_publicly_reachable_address_needs_a_key(host: str, settings: Settings) -> None:
    with pytest.raises(ConfigurationError) as refused:
        create_app(settings, ServerSettings(host=host))

    assert refused.value.code == "server_key_missing"
    assert create_app(settings, ServerSettings(host=host, server_key=KEY))


@pytest.mark.fault("server-key-wrong")
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_except_healthz_needs_the_key(route: str, settings: Settings) -> None:
    with running_server(settings, replace(PLENTY, server_key=KEY)) as server:
        without = request(f"{server.url}{route}")
        wrong = request(f"{server.url}{route}", headers={"Authorization": "Bearer " + KEY[:-1]})
        bearer = request(f"{server.url}{route}", headers={"Authorization": f"Bearer {KEY}"})
        basic = base64.b64encode(f"anyone:{KEY}".encode()).decode()
        browser = request(f"{server.url}{route}", headers={"Authorization": f"Basic {basic}"})
        alive = request(f"{server.url}/healthz")

    assert (without.status, without.error_code) == (401, "key_missing")
    assert "Basic" in without.headers["www-authenticate"]
    assert (wrong.status, wrong.error_code) == (401, "key_refused")
    assert bearer.status == browser.status != 401
    assert (alive.status, alive.json) == (200, {"status": "ok"})


@pytest.mark.fault("server-key-wrong")
@pytest.mark.parametrize("authorization", ["Bearer", "Basic !!!", "Basic /w==", "Negotiate x", "Bearer \u00e9"])
def test_malformed_authorization_headers_are_refused(authorization: str, settings: Settings) -> None:
    with running_server(settings, replace(PLENTY, server_key=KEY)) as server:
        reply = request(f"{server.url}/readyz", headers={"Authorization": authorization})

    assert reply.status == 401


def refused_without_a_call(settings: Settings, headers: dict[str, str], server_settings: ServerSettings) -> Reply:
    with OpenAIServer(chat=answer("x")) as model:
        model_settings = replace(settings, base_url=model.base_url, model="m")
        with running_server(model_settings, server_settings) as server:
            reply = request(ask_url(server.url), headers=headers)
        assert model.requests == []
    return reply


@pytest.mark.fault("cross-site")
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8421", "", "localhost.evil.example", "[::2]", "10.0.0.1"]
)
def test_an_unknown_host_name_is_refused(host: str, settings: Settings) -> None:
    reply = refused_without_a_call(settings, {"Host": host}, PLENTY)

    assert (reply.status, reply.code) == (421, "unknown_host")


@pytest.mark.fault("duplicate-host")
def test_a_request_with_two_host_headers_is_refused(settings: Settings) -> None:
    with running_server(settings, PLENTY) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /collections HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: docs.example.org\r\n\r\n")
        reply = b""
        while b"}" not in reply and (piece := client.recv(4000)):
            reply += piece

    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"the request has more than one Host header" in reply


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:9", "Docs.Example.org"])
def test_the_servers_own_host_names_are_accepted(host: str, settings: Settings) -> None:
    with running_server(settings, replace(PLENTY, allow_host=("docs.example.org",))) as server:
        assert request(f"{server.url}/healthz", headers={"Host": host}).status == 200


@pytest.mark.fault("cross-site")
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_another_site_cannot_ask_through_a_visitors_browser(headers: dict[str, str], settings: Settings) -> None:
    reply = refused_without_a_call(settings, headers, PLENTY)

    assert (reply.status, reply.code) == (403, "foreign_origin")


def test_a_link_from_another_site_opens_the_page_but_asks_nothing(settings: Settings) -> None:
    follows = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    with running_server(settings) as server:
        assert request(f"{server.url}/", headers=follows).status == 200
        assert request(f"{server.url}/search?query=x", headers=follows).status == 403


def test_the_page_may_ask_directly_and_behind_a_tls_proxy(settings: Settings) -> None:
    served = replace(PLENTY, allow_host=("docs.example.org",))
    with running_server(replace(settings, min_score=0.0), served) as server:
        own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
        proxied = {"Origin": "https://docs.example.org", "Host": "docs.example.org"}

        assert request(f"{server.url}/search?query=x", headers=own).status == 200
        assert request(f"{server.url}/search?query=x", headers=proxied).status == 200


def test_only_allowed_origins_may_ask(settings: Settings) -> None:
    origin = "https://app.example.org"
    with running_server(settings, replace(PLENTY, cors_origin=(origin,), server_key=KEY)) as server:
        preflight = request(
            f"{server.url}/rag/stream",
            "OPTIONS",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        allowed = request(f"{server.url}/collections", headers={"Origin": origin, "Authorization": f"Bearer {KEY}"})
        other = request(f"{server.url}/collections", headers={"Origin": "https://evil.example"})

    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, origin)
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (200, origin)
    assert other.status == 403


def test_without_allowed_origins_cors_is_off(settings: Settings) -> None:
    with running_server(settings) as server:
        assert "access-control-allow-origin" not in request(f"{server.url}/collections").headers


@pytest.mark.fault("too-many-streams")
def test_the_rate_limit_applies_before_the_stream_and_reports_the_wait(settings: Settings) -> None:
    with running_server(replace(settings, min_score=0.0), replace(PLENTY, rate_limit="2/minute")) as server:
        replies = [request(f"{server.url}/search?query=x", headers={"Authorization": f"Bearer {n}"}) for n in range(3)]
        alive = request(f"{server.url}/healthz")

    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[-1].code == "rate_limited"
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 61
    assert alive.status == 200


BAD_BODIES = [
    b'{"query": NaN}',
    b'{"query": "x", "min_score": NaN}',
    b'{"query": "x", "min_score": Infinity}',
    b'{"query": "a\\u0000b"}',
    b'{"query": "a\\ud800b"}',
    b'{"query": "a\xffb"}',
    b'{"query": ' + b"[" * 100_000,
    b'{"query": "x", "k": ' + b"9" * 5000 + b"}",
    b"not json",
    b"[]",
    b"null",
    b'{"query": ""}',
    b'{"query": "x", "k": 0}',
    b'{"query": "x", "k": 101}',
    b'{"query": "x", "collection": "../../etc"}',
    b'{"query": "x", "surprise": 1}',
    json.dumps({"query": "x" * 20_001}).encode(),
]


@pytest.fixture(scope="module")
def served(settings: Settings) -> Iterator[RunningServer]:
    with running_server(settings) as server:
        yield server


@pytest.mark.fault("invalid-bodies")
@pytest.mark.parametrize("body", BAD_BODIES, ids=[repr(body[:30]) for body in BAD_BODIES])
@pytest.mark.parametrize("path", ["/rag/stream", "/v1/chat/completions"])
def test_an_invalid_body_is_a_client_error(path: str, body: bytes, served: RunningServer) -> None:
    reply = request(f"{served.url}{path}", "POST", body=body, headers={"Content-Type": "application/json"})

    if reply.status == 200:  # an empty question is an error event in the stream
        assert b'"code":"empty_question"' in reply.body
    else:
        assert 400 <= reply.status < 500
        assert "error" in reply.json


@pytest.mark.fault("invalid-bodies")
@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        pytest.param(
            "/v1/chat/completions",
            b'{"messages":[{"role":"user","content":[%b]}]}' % b",".join([b"1"] * 120_000),
            "messages.0.content: must be a string",
            id="message parts of a wrong type",
        ),
        pytest.param(
            "/v1/chat/completions",
            b'{"messages":[{"role":"user","content":[%b]}]}' % b",".join([b'{"type":"a"}'] * 20_000),
            "messages.0.content: must have at most 1000 entries",
            id="parts of a message",
        ),
        pytest.param(
            "/v1/chat/completions",
            b'{"messages":[%b]}' % b",".join([b"{}"] * 80_000),
            "messages.0.role is required",
            id="messages",
        ),
        pytest.param(
            "/rag/stream",
            b"{%b}" % b",".join(b'"%x":1' % n for n in range(25_000)),
            "unknown field '0'",
            id="fields",
        ),
    ],
)
def test_only_the_first_of_thousands_of_errors_in_a_body_is_reported(
    path: str, body: bytes, message: str, served: RunningServer
) -> None:
    since_s = time.process_time()
    reply = request(f"{served.url}{path}", "POST", body=body, headers={"Content-Type": "application/json"})

    assert 400 <= reply.status < 500
    error = reply.json["error"]
    assert (error["message"] if isinstance(error, dict) else error).startswith(message)
    assert time.process_time() - since_s < 0.4  # describing each of them takes seconds and blocks all requests


@pytest.mark.fault("invalid-bodies")
def test_json_with_a_text_content_type_is_refused(served: RunningServer) -> None:
    reply = request(f"{served.url}/rag/stream", "POST", body=b'{"query": "x"}', headers={"Content-Type": "text/plain"})

    assert (reply.status, reply.code) == (422, "bad_request")


@pytest.mark.fault("invalid-bodies")
@pytest.mark.parametrize("has_length", [True, False])
def test_a_large_body_is_refused_with_or_without_a_content_length(has_length: bool, served: RunningServer) -> None:
    body = json.dumps({"query": "x" * 1_100_000}).encode()
    headers = {"Content-Type": "application/json"}
    if not has_length:
        headers |= {"Transfer-Encoding": "chunked", "Content-Length": ""}
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        del headers["Content-Length"]
    reply = (
        _chunked(served.url, body)
        if not has_length
        else request(f"{served.url}/rag/stream", "POST", body=body, headers=headers)
    )

    assert (reply.status, reply.code) == (413, "too_large")


def _chunked(url: str, framed: bytes) -> Reply:
    import http.client
    from urllib.parse import urlsplit

    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.putrequest("POST", "/rag/stream")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders(framed)
    response = connection.getresponse()
    reply = Reply(status=response.status, headers={}, body=response.read())
    connection.close()
    return reply


@pytest.mark.fault("path-traversal")
@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fsettings.py", "/static//etc/passwd"]
)
def test_no_request_path_reaches_files_outside_the_static_folder(path: str, served: RunningServer) -> None:
    assert request(f"{served.url}{path}").status == 404


def test_a_question_that_is_too_long_for_a_url_is_refused(served: RunningServer) -> None:
    reply = request(f"{served.url}/search?query={'x' * 25_000}")

    assert reply.status in {414, 422}


def test_the_page_may_load_nothing_from_other_servers(served: RunningServer) -> None:
    headers = request(f"{served.url}/").headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.fault("invalid-bodies")
@given(query=st.text(max_size=200), k=st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5)))
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_questions_cause_no_internal_error(query: str, k: object, served: RunningServer) -> None:
    reply = post_json(f"{served.url}/rag/stream", {"query": query, "k": k})

    assert reply.status < 500
    assert b"internal_error" not in reply.body


def test_openapi_json_is_served_but_the_documentation_pages_are_not(served: RunningServer) -> None:
    description = request(f"{served.url}/openapi.json").json

    assert (request(f"{served.url}/docs").status, request(f"{served.url}/redoc").status) == (404, 404)
    assert {"/rag/stream", "/rag/stream-with-sources", "/v1/chat/completions", "/v1/models", "/search"} <= set(
        description["paths"]
    )


def test_an_empty_question_is_refused(served: RunningServer) -> None:
    reply = post_json(f"{served.url}/rag/stream", {"query": "  "})

    assert b'"code":"empty_question"' in reply.body

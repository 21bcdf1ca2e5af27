"""Checks on a request's URL, headers, method, `Host` and body."""

import signal
import socket
import time
from dataclasses import replace
from urllib.parse import quote

import pytest

from streamrag_cli.settings import ServerSettings, Settings
from tests.support.http_client import ask_url, post_json, request, streaming
from tests.support.openai_replies import Stall, answer, stream, token
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import RunningServer, running_server, served

PLENTY = ServerSettings(rate_limit="1000000/minute", grace_s=3.0)
PIECE_BYTES = 1448
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def sent_in_pieces(server: RunningServer, head: bytes, piece_bytes: int = PIECE_BYTES) -> bytes:
    """The complete reply to a request that is sent in pieces."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(head), piece_bytes):
            connection.sendall(head[at : at + piece_bytes])
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


@pytest.mark.fault("url-or-headers-too-long")
@pytest.mark.parametrize("character", ["q", "\N{CJK UNIFIED IDEOGRAPH-8336}", "\N{SNOWMAN WITHOUT SNOW}", "\U0001f6a2"])
@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, 1_000_000])
def test_the_longest_documented_question_fits_into_a_url(character: str, piece_bytes: int, settings: Settings) -> None:
    question = f"berth {character * 9_990} {character * 9_990} xyz"
    with OpenAIServer(chat=answer("At noon.")) as model:
        model_settings = replace(settings, base_url=model.base_url, model="m", min_score=0.0)
        with running_server(model_settings, PLENTY) as server:
            path = f"/rag/stream?query={quote(question)}"
            reply = sent_in_pieces(server, get(path), piece_bytes)

        assert b'"token":"At noon."' in reply
        assert question in model.requests[-1].json["messages"][-1]["content"]


@pytest.mark.fault("url-or-headers-too-long")
@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, 1_000_000])
@pytest.mark.parametrize("length", [262_145, 600_000])
def test_a_url_beyond_the_limit_is_refused_with_a_message(length: int, piece_bytes: int, settings: Settings) -> None:
    with running_server(settings, PLENTY) as server:
        path = "/search?query=".ljust(length, "x")
        reply = sent_in_pieces(server, get(path), piece_bytes)
        metrics = request(f"{server.url}/metrics").body.decode().splitlines()
        alive = request(f"{server.url}/healthz").status

    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 414 Request-URI Too Long\r\n")
    assert (
        body
        == b'{"error":"the URL is too long","code":"too_long","hint":"send the question in the body of a POST request"}'
    )
    assert 'streamrag_refused_total{code="too_long"} 1.0' in metrics
    assert alive == 200


@pytest.mark.fault("too-many-parameters")
def test_a_url_with_too_many_parameters_is_refused_quickly(settings: Settings) -> None:
    with running_server(settings, PLENTY) as server:
        most = request(f"{server.url}/healthz?a" + "&a" * 99)
        since_s = time.process_time()
        replies = [
            sent_in_pieces(server, get("/search?query=quay" + "&a=1" * 50_000), PIECE_BYTES),
            sent_in_pieces(server, get("/healthz?a" + "&a" * 100), PIECE_BYTES),
        ]
        took_s = time.process_time() - since_s

    assert most.status == 200
    assert [reply.split(b"\r\n")[0] for reply in replies] == [b"HTTP/1.1 414 Request-URI Too Long"] * 2
    assert {reply.partition(b"\r\n\r\n")[2] for reply in replies} == {
        b'{"error":"the URL has too many parameters","code":"too_long","hint":"send each parameter once"}'
    }
    assert took_s < 0.5


@pytest.mark.fault("url-or-headers-too-long")
@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, 1_000_000])
@pytest.mark.parametrize("headers", [["X-One: " + "y" * 33_000], [f"X-{n}: {'y' * 300}" for n in range(110)]])
def test_headers_beyond_the_limit_are_refused_with_a_message(
    headers: list[str], piece_bytes: int, settings: Settings
) -> None:
    with running_server(settings, PLENTY) as server:
        reply = sent_in_pieces(server, get("/healthz", *headers), piece_bytes)

    assert reply.startswith(b"HTTP/1.1 431 ")
    assert b'"code":"headers_too_large"' in reply


def test_a_long_url_does_not_corrupt_a_reply_in_progress(settings: Settings) -> None:
    with OpenAIServer(chat=stream(token("a"), Stall())) as model:
        with running_server(replace(settings, base_url=model.base_url, model="m"), PLENTY) as server:
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
                connection.sendall(get(ask_url("")).replace(b"close", b"keep-alive"))
                model.wait_for_requests(1)
                received = b""
                while b'"token":"a"' not in received:
                    received += connection.recv(65_536)
                try:
                    connection.sendall(get("/".ljust(300_000, "x")))
                    while piece := connection.recv(65_536):
                        received += piece
                except OSError:
                    pass  # connection closed

    assert b"HTTP/1.1 414" not in received


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/collections", "/v1/models", "/metrics", "/openapi.json"]
)
def test_head_returns_the_content_type_of_get_without_a_body(path: str, settings: Settings) -> None:
    with running_server(settings, PLENTY) as server:
        head, got = request(f"{server.url}{path}", "HEAD"), request(f"{server.url}{path}")

    assert (head.status, head.headers["content-type"], head.body) == (200, got.headers["content-type"], b"")


@pytest.mark.parametrize("path", ["/search?query=berth", "/rag/stream?query=berth"])
def test_head_is_not_allowed_for_questions(path: str, settings: Settings) -> None:
    with running_server(settings, PLENTY) as server:
        assert request(f"{server.url}{path}", "HEAD").status == 405


def test_replies_are_not_stored_in_caches_and_the_page_is_revalidated(settings: Settings) -> None:
    paths = ["/search?query=berth", "/search?k=x", "/collections", "/v1/models", "/readyz", "/nowhere", "/healthz"]
    with running_server(settings, PLENTY) as server:
        cache_control = {path: request(f"{server.url}{path}").headers.get("cache-control") for path in paths}
        page = request(f"{server.url}/").headers["cache-control"]

    assert cache_control == dict.fromkeys(paths, "no-store")
    assert page == "no-cache"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example@127.0.0.1", "user:pw@localhost", "localhost/x", "localhost?x", "localhost#x", "localhost:"),
        *("[::1", "localhost:80:80", "localhost:x", "127.0.0.1\\@evil.example", "local host"),
    ],
)
def test_a_malformed_host_header_is_refused(host: str, settings: Settings) -> None:
    with running_server(settings, PLENTY) as server:
        reply = request(f"{server.url}/healthz", headers={"Host": host})

    assert (reply.status, reply.code) == (421, "unknown_host")


@pytest.mark.fault("cross-site-over-http")
@pytest.mark.parametrize(
    "headers",
    [
        {"Referer": "http://evil.example/page"},
        {"Referer": "http://docs.example.org.evil.example/"},
        {"Referer": "http://docs.example.org@evil.example/"},
        {"Referer": "http://docs.example.org:8080/"},
        {"Referer": "evil.example"},
        {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"},
        {"Accept": "application/xml, Text/HTML;q=0.1"},
        {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"},
        {"Accept": "text/css,*/*;q=0.1"},
        {"Accept": "*/*", "User-Agent": FIREFOX},  # a script or an opaque request, with "no-referrer"
        {"Accept": "text/event-stream", "User-Agent": FIREFOX, "Referer": ""},
    ],
)
@pytest.mark.parametrize("path", ["/rag/stream", "/rag/stream-with-sources", "/search"])
def test_another_site_cannot_ask_over_plain_http(path: str, headers: dict[str, str], settings: Settings) -> None:
    with OpenAIServer(chat=answer("x")) as model:
        named = replace(PLENTY, allow_host=("docs.example.org",))
        with running_server(replace(settings, base_url=model.base_url, model="m"), named) as server:
            reply = request(ask_url(server.url, path=path), headers={"Host": "docs.example.org", **headers})

        assert (reply.status, reply.code, model.requests) == (403, "foreign_origin", [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*", "User-Agent": "curl/8.5.0"},
        {"Accept": "text/event-stream", "Referer": "http://docs.example.org/"},
        {"Accept": "application/json", "User-Agent": "OpenAI/Python 1.0"},
        {"Accept": "text/plain"},
        {"Accept": "application/json, */*;q=0.5"},
        {"Referer": "http://Docs.Example.org/?q=1"},
        {"Referer": "https://app.example.org/page"},
        {"Referer": ""},
        {"Accept": "*/*", "User-Agent": FIREFOX, "Referer": "http://docs.example.org/"},
        {"Accept": "*/*", "User-Agent": FIREFOX, "Authorization": "Bearer key-that-no-browser-adds"},
    ],
)
def test_programs_and_the_servers_own_page_may_ask_over_plain_http(headers: dict[str, str], settings: Settings) -> None:
    named = replace(PLENTY, allow_host=("docs.example.org",), cors_origin=("https://app.example.org",))
    with running_server(settings, named) as server:
        reply = request(ask_url(server.url), headers={"Host": "docs.example.org", **headers})

    assert reply.status == 200


def test_a_link_from_another_site_opens_the_page_over_plain_http(settings: Settings) -> None:
    link = {"Host": "docs.example.org", "Accept": "text/html", "Referer": "http://elsewhere.example/"}
    with running_server(settings, replace(PLENTY, allow_host=("docs.example.org",))) as server:
        assert request(f"{server.url}/", headers=link).status == 200


def test_replies_are_sent_without_nagle_delay(settings: Settings) -> None:
    """With Nagle's algorithm, each reply on a reused connection waits 40 ms for the client's delayed ACK."""
    with running_server(settings, PLENTY) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(get("/healthz").replace(b"close", b"keep-alive"))
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        [connection] = server.server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")

        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@pytest.mark.fault("terminal-hangup")
def test_closing_the_terminal_ends_open_streams_with_an_error_event(settings: Settings) -> None:
    with OpenAIServer(chat=stream(token("a"), Stall())) as model:
        with served(settings, "--base-url", model.base_url, "-m", "m") as server:
            with streaming(ask_url(server.url)) as answered:
                answered.next_of("token")
                server.process.send_signal(signal.SIGHUP)
                events = list(answered.events())
            return_code = server.process.wait(timeout=30)

    assert [(event["type"], event["code"]) for event in events] == [("error", "server_shutdown")]
    assert return_code == -signal.SIGHUP


STAINLESS = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-retry-count"


def test_an_allowed_origin_may_send_the_headers_of_openais_client(settings: Settings) -> None:
    origin = "https://app.example.org"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": STAINLESS}
    with running_server(settings, replace(PLENTY, cors_origin=(origin,))) as server:
        address = f"{server.url}/v1/chat/completions"
        named = request(address, "OPTIONS", headers={"Origin": origin, **preflight})
        other = request(address, "OPTIONS", headers={"Origin": "https://elsewhere.example.org", **preflight})

    assert (named.status, named.headers["access-control-allow-origin"]) == (200, origin)
    assert set(STAINLESS.split(",")) <= set(named.headers["access-control-allow-headers"].split(","))
    assert (other.status, "access-control-allow-origin" in other.headers) == (400, False)


def test_an_empty_or_overlong_question_is_refused_before_the_stream(settings: Settings) -> None:
    with running_server(settings, PLENTY) as server:
        replies = [request(f"{server.url}{path}") for path in ("/rag/stream", "/rag/stream?query=+", "/search?query=")]
        too_long = request(f"{server.url}/rag/stream?query={'b' * 20_001}")
        metrics = request(f"{server.url}/metrics").body.decode()

    assert [(reply.status, reply.code) for reply in replies] == [(422, "empty_question")] * 3
    assert (too_long.status, too_long.code) == (422, "question_too_long")
    assert 'streamrag_refused_total{code="question_too_long"} 1.0' in metrics


EXAMPLE = 'send Content-Type: application/json and a body such as {"query": "How long is the warranty?", "k": 3}'
FIELDS = "query, k, collection, collections, min_score, model, matches, in, since, format and tag"
BODY_FIELDS = "query, k, collection, collections, min_score, model, matches, history, in, since, format and tag"
USE_FIELDS = f"use only the fields {FIELDS}"
LISTED = "see GET /openapi.json for"


@pytest.mark.fault("invalid-requests")
@pytest.mark.parametrize(
    ("sent", "status", "message", "hint"),
    [
        (("GET", "/search?query=quay&top=3", ""), 422, "unknown field 'top'", USE_FIELDS),
        (
            ("GET", "/search?q=quay", ""),
            422,
            "unknown field 'q'",
            f"did you mean query? The fields are {FIELDS}",
        ),
        (
            ("POST", "/rag/stream", '{"query": "quay", "minscore": 1}'),
            422,
            "unknown field 'minscore'",
            f"did you mean min_score? The fields are {BODY_FIELDS}",
        ),
        (("GET", "/search?query=quay&k=some", ""), 422, "k: must be an integer", EXAMPLE),
        (("GET", "/search?query=quay&k=0", ""), 422, "k: must be at least 1", EXAMPLE),
        (("GET", "/search?query=quay&min_score=1.5", ""), 422, "min_score: must be at most 1", EXAMPLE),
        (("GET", "/search?query=quay&min_score=inf", ""), 422, "min_score: must be a finite number", EXAMPLE),
        (("GET", "/search?query=quay&k=6", ""), 422, "k: this server returns at most 5 sources", "set k to at most 5"),
        (
            ("GET", "/search?query=quay&collection=no+such", ""),
            422,
            "collection: must be 1 to 63 letters, digits, dots, dashes or underscores, begin and end with a letter or"
            " digit, and not contain '..'",
            'leave out the field "collection", or send a collection that GET /collections lists',
        ),
        (
            ("GET", "/search?query=quay&collection=elsewhere", ""),
            404,
            "this server does not serve the collection 'elsewhere'",
            "see GET /collections for the served collections",
        ),
        (
            ("GET", "/search", ""),
            422,
            "the question is empty",
            'send a question, such as {"query": "How long is the warranty?"}',
        ),
        (("POST", "/rag/stream", '{"query": 3}'), 422, "query: must be a string", EXAMPLE),
        (("POST", "/rag/stream", '{"k": 1.5}'), 422, "k: must be an integer", EXAMPLE),
        (("POST", "/rag/stream", '{"query": "quay"'), 422, "the request body is not valid JSON", EXAMPLE),
        (("POST", "/rag/stream", "[]"), 422, "the request body is not a JSON object", EXAMPLE),
        (("POST", "/rag/stream", "[" * 20_000), 400, "the request body is not JSON in UTF-8", EXAMPLE),
        (("GET", "/answers", ""), 404, "there is no route for this path", f"{LISTED} all routes"),
        (
            ("PUT", "/search", "{}"),
            405,
            "this route does not support this method",
            f"{LISTED} the methods of each route",
        ),
        (
            ("POST", "/rag/stream", '{"' + "n" * 9000 + '": 1}'),
            422,
            f"unknown field '{'n' * 40}'",
            f"use only the fields {BODY_FIELDS}",
        ),
    ],
)
def test_an_invalid_request_is_refused_with_a_reason_and_a_hint(
    sent: tuple[str, str, str], status: int, message: str, hint: str, settings: Settings
) -> None:
    method, path, body = sent
    with running_server(settings, PLENTY) as server:
        headers = {"Content-Type": "application/json"}
        reply = request(f"{server.url}{path}", method, body=body.encode() or None, headers=headers)

    assert (reply.status, reply.json["error"], reply.json["hint"]) == (status, message, hint)


@pytest.mark.fault("invalid-requests")
@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({}, "messages", "messages is required"),
        ({"messages": "quay"}, "messages", "messages: must be a list"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "messages.0.content: must be a string"),
        (
            {"messages": [{"role": "user", "content": "quay"}], "top_p": "wide"},
            "top_p",
            "top_p: must be a number",
        ),
    ],
)
def test_an_invalid_request_under_v1_gets_an_example_conversation(
    body: object, param: str, message: str, settings: Settings
) -> None:
    with running_server(settings, PLENTY) as server:
        reply = post_json(f"{server.url}/v1/chat/completions", body)

    error = reply.json["error"]
    assert (reply.status, error["param"]) == (400, param)
    assert error["message"].startswith(f"{message}; send Content-Type: application/json and a body such as")
    assert '"messages": [{"role": "user"' in error["message"]


def test_an_openai_client_gets_status_400_for_an_invalid_request(settings: Settings) -> None:
    with running_server(settings, PLENTY) as server:
        reply = post_json(f"{server.url}/v1/chat/completions", {"model": "streamrag", "messages": []})

    assert (reply.status, reply.json["error"]["code"]) == (400, "bad_request")

"""Redirects, addresses, time limits and size limits for fetched web pages."""

import gzip
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from streamrag_cli.remote.web.results import (
    Fetched,
)
from tests.support.crawls import crawl, failure
from tests.support.web_site import (
    Answer,
    Request,
    Site,
    article,
    dripping,
    endless_server,
    redirect,
)


def test_at_most_ten_redirects_are_followed(serve: Callable[..., Site]) -> None:
    hops = {f"/{n}": redirect(f"/{n + 1}") for n in range(30)}
    site = serve({**hops, "/10": article("kettle"), "/loop": redirect("/loop")})

    fetched, too_many, loop = (crawl(f"{site.url}{path}") for path in ("/0", "/11", "/loop"))

    assert [type(each) for each in fetched] == [Fetched]
    assert failure(too_many) == failure(loop) == ("too_many_redirects", "the page redirects more than 10 times")


@pytest.mark.parametrize("target", ["ftp://h/x", "file:///etc/passwd", "http://ada:pw@h/", "http://[::1", "data:,x"])
def test_a_redirect_to_an_unsupported_address_fails(serve: Callable[..., Site], target: str) -> None:
    site = serve({"/a": redirect(target)})

    assert failure(crawl(f"{site.url}/a"))[0] == "bad_redirect"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "127.2", "0x7f.0.0.2", "[::ffff:127.0.0.1]", "2130706434"])
@pytest.mark.fault("private-address")
def test_a_redirect_to_a_private_address_is_blocked(serve: Callable[..., Site], host: str) -> None:
    other = serve({"/secret": article("vault")}, "0.0.0.0")
    site = serve({"/a": redirect(other.url.replace("0.0.0.0", host) + "/secret")})

    code, reason = failure(crawl(f"{site.url}/a"))

    assert (code, other.requests) == ("blocked_address", [])
    assert "a private address is allowed only if the URL that you ingest contains the IP address itself" in reason


@pytest.mark.fault("private-address")
def test_a_redirect_to_another_service_of_the_same_private_host_is_blocked(serve: Callable[..., Site]) -> None:
    other = serve({"/secret": article("vault")})
    site = serve({"/a": redirect(f"{other.url}/secret")})

    code, reason = failure(crawl(f"{site.url}/a"))

    assert code == "blocked_address"
    assert reason.startswith(f"the page redirects to {other.url}: 127.0.0.1 is not a public address;")
    assert other.requests == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.100.100.200", "::1", "fd00::1"])
@pytest.mark.fault("private-address")
def test_a_name_that_resolves_to_a_private_address_is_blocked(serve: Callable[..., Site], address: str) -> None:
    site = serve({"/a": article("vault")})
    root = site.url.replace("127.0.0.1", "public.example") + "/a"

    code, reason = failure(crawl(root, resolver=lambda _host, _port: [address]))

    assert (code, site.requests) == ("blocked_address", [])
    assert reason.startswith(f"public.example resolves to {address}, which is not a public address")


@pytest.mark.fault("private-address")
def test_a_host_is_resolved_once_and_only_checked_addresses_are_used(serve: Callable[..., Site]) -> None:
    site = serve({"/a": article("vault")})
    resolved: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        resolved.append(host)
        return ["192.0.2.1", "127.0.0.1"]  # the first is for documentation: not public either

    root = site.url.replace("127.0.0.1", "rebind.example") + "/a"

    assert failure(crawl(root, resolver=rebinding))[0] == "blocked_address"
    assert (resolved, site.requests) == (["rebind.example"], [])


def test_localhost_is_allowed_if_the_user_names_it(serve: Callable[..., Site]) -> None:
    site = serve({"/a": article("kettle")})

    assert [type(each) for each in crawl(site.url.replace("127.0.0.1", "localhost") + "/a")] == [Fetched]


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "127.0.0.1", "localhost"])
def test_the_host_header_is_the_host_of_the_address(serve: Callable[..., Site], host: str) -> None:
    site = serve({"/a": article("kettle")})
    root = site.url.replace("127.0.0.1", host)

    assert [type(each) for each in crawl(f"{root}/a")] == [Fetched]
    assert {each.headers["host"] for each in site.requests} == {root.removeprefix("http://")}


@pytest.mark.fault("hostile-web-server")
def test_a_slow_reply_is_stopped_at_the_time_limit(serve: Callable[..., Site]) -> None:
    def stalls(_: Request) -> Answer:
        time.sleep(3)
        return Answer()

    site = serve({"/a": Answer("<p>", pieces=dripping), "/b": stalls})
    began = time.monotonic()

    drips, stalled = (failure(crawl(f"{site.url}{path}", timeout_s=0.5)) for path in ("/a", "/b"))

    assert drips == stalled == ("timed_out", "the reply was not complete within 0.5 s")
    assert time.monotonic() - began < 4


@pytest.mark.fault("hostile-web-server")
def test_a_reply_that_is_too_large_is_not_read(serve: Callable[..., Site]) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    announced = Answer("", headers={"Content-Length": "99999999999"})
    site = serve({"/endless": Answer(pieces=endless), "/announced": announced})

    for path in ("/endless", "/announced"):
        assert failure(crawl(f"{site.url}{path}", max_bytes=1_000_000)) == ("too_large", "the page is larger than 1 MB")


@pytest.mark.fault("hostile-web-server")
@pytest.mark.parametrize("endless", ["interim replies", "long chunk extensions"])
def test_bytes_that_are_not_content_do_not_extend_the_time_limit(endless: str) -> None:
    first, block = {
        "interim replies": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "long chunk extensions": (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n",
            (b"1;" + b"x" * 4000 + b"\r\na\r\n") * 10,
        ),
    }[endless]

    with endless_server(first, block) as url:
        began = time.monotonic()
        result = failure(crawl(f"{url}/a", timeout_s=0.5))

    assert result == ("timed_out", "the reply was not complete within 0.5 s")
    assert time.monotonic() - began < 5


@pytest.mark.fault("hostile-web-server")
def test_compressed_data_without_content_is_stopped_at_the_size_limit(serve: Callable[..., Site]) -> None:
    def empty_members() -> Iterator[bytes]:
        while True:
            yield gzip.compress(b"") * 2000

    site = serve({"/a": Answer(pieces=empty_members, headers={"Content-Encoding": "gzip"})})

    assert failure(crawl(f"{site.url}/a", max_bytes=1_000_000, timeout_s=2.0)) == (
        "too_large",
        "the page is larger than 1 MB",
    )


@pytest.mark.fault("hostile-web-server")
@pytest.mark.parametrize("layers", [3, 5000])
def test_a_reply_that_is_compressed_many_times_is_not_decompressed(layers: int, serve: Callable[..., Site]) -> None:
    site = serve({"/a": Answer(gzip.compress(b"text"), headers={"Content-Encoding": ", ".join(["gzip"] * layers)})})

    assert failure(crawl(f"{site.url}/a")) == ("malformed", "the reply is compressed more than 2 times")


@pytest.mark.fault("hostile-web-server")
def test_a_decompression_bomb_is_not_expanded(serve: Callable[..., Site]) -> None:
    bomb = gzip.compress(bytes(300_000_000), 1)
    twice = gzip.compress(gzip.compress(bytes(100_000_000)))
    site = serve({
        "/bomb": Answer(bomb, headers={"Content-Encoding": "gzip"}),
        "/twice": Answer(twice, headers={"Content-Encoding": "gzip, gzip"}),
        "/zlib": Answer(zlib.compress(bytes(50_000_000)), headers={"Content-Encoding": "deflate"}),
    })  # fmt: skip
    import tracemalloc

    tracemalloc.start()
    try:
        for path in ("/bomb", "/twice", "/zlib"):
            assert failure(crawl(f"{site.url}{path}", max_bytes=2_000_000))[0] == "too_large"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 20_000_000


@pytest.mark.fault("hostile-web-server")
@pytest.mark.parametrize("name", ["User-agent: a{}", "user agent  a{}", "UserAgent : stream*{}", "User-agent: {}*"])
def test_a_robots_txt_with_thousands_of_user_agents_is_read_in_linear_time(
    serve: Callable[..., Site], name: str
) -> None:
    agents = "\n".join(name.format("*" * (n % 7) + str(n)) for n in range(4_000))
    rules = f"{agents}\nUser-agent: *\n" + "Disallow: /lamp\n" * 20_000 + "Disallow: /private\n"
    site = serve({"/": article("kettle"), "/robots.txt": Answer(rules, content_type="text/plain")})
    since_s = time.process_time()

    assert [type(each) for each in crawl(f"{site.url}/")] == [Fetched]
    assert failure(crawl(f"{site.url}/private/x"))[0] == "robots"
    assert time.process_time() - since_s < 10.0  # each rule was copied to each user agent, which took gigabytes


def test_the_most_specific_user_agent_in_a_robots_txt_applies(serve: Callable[..., Site]) -> None:
    rules = "User-agent: other\nUser-agent: Streamrag*\nDisallow: /b\n\nUser-agent: *\nDisallow: /\n"
    site = serve({"/a": article("kettle"), "/robots.txt": Answer(rules, content_type="text/plain")})

    assert [type(each) for each in crawl(f"{site.url}/a")] == [Fetched]
    assert failure(crawl(f"{site.url}/b"))[0] == "robots"

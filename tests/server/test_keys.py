"""Named server keys, weak keys, and limits on guessing."""

import base64
from collections.abc import Mapping
from dataclasses import replace

import pytest

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.server.keys import KeyRing
from streamrag_cli.server.rates import Rates, client_group
from streamrag_cli.server.replies import RefusedError
from streamrag_cli.server_keys import split_keys, weakness
from streamrag_cli.settings import ServerSettings, Settings, read_server_settings
from tests.support.http_client import Reply, request
from tests.support.running_server import RunningServer, running_server

PLENTY = ServerSettings(rate_limit="1000000/minute", grace_s=3.0)
KEYS = "phone:Ru7-sunny-Wq2-balcony,\n laptop:9d1e0c77b2a4f658\r\n3fc8a0b19e2d4756"


class Clock:
    """A fake clock, in seconds."""

    def __init__(self) -> None:
        self.now_s = 5000.0

    def __call__(self) -> float:
        return self.now_s


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def search(server: RunningServer, headers: Mapping[str, str]) -> Reply:
    return request(f"{server.url}/search?query=berth", headers=headers)


def test_keys_are_separated_by_commas_or_lines_and_may_have_names() -> None:
    assert [(each.name, each.key) for each in split_keys(KEYS)] == [
        ("phone", "Ru7-sunny-Wq2-balcony"),
        ("laptop", "9d1e0c77b2a4f658"),
        ("key3", "3fc8a0b19e2d4756"),
    ]
    assert "sunny" not in repr(split_keys(KEYS))


@pytest.mark.parametrize("key", ["Ru7-sunny-Wq2-balcony", "9d1e0c77b2a4f658", "3fc8a0b19e2d4756"])
def test_each_key_works_as_a_bearer_token_and_as_a_password(key: str, settings: Settings) -> None:
    basic = base64.b64encode(f"visitor:{key}".encode()).decode()
    with running_server(settings, replace(PLENTY, server_key=KEYS)) as server:
        replies = [search(server, bearer(key)), search(server, {"Authorization": f"Basic {basic}"})]
        wrong = [search(server, bearer(each)).code for each in (f"phone:{key}", key[:-1], KEYS.partition(",")[0])]

    assert [reply.status for reply in replies] == [200, 200]
    assert wrong == ["key_refused"] * 3


def test_each_key_has_its_own_rate_limit(settings: Settings) -> None:
    with running_server(settings, ServerSettings(rate_limit="2/hour", server_key=KEYS, grace_s=3.0)) as server:
        first = [search(server, bearer("Ru7-sunny-Wq2-balcony")).status for _ in range(3)]
        second = search(server, bearer("9d1e0c77b2a4f658")).status

    assert (first, second) == ([200, 200, 429], 200)


def test_two_keys_with_one_name_share_a_rate_limit(settings: Settings) -> None:
    both = "ci:Ru7-sunny-Wq2-balcony,ci:9d1e0c77b2a4f658"
    with running_server(settings, ServerSettings(rate_limit="2/hour", server_key=both, grace_s=3.0)) as server:
        keys = ["Ru7-sunny-Wq2-balcony", "9d1e0c77b2a4f658", "9d1e0c77b2a4f658"]

        assert [search(server, bearer(key)).status for key in keys] == [200, 200, 429]


@pytest.mark.fault("key-guessing")
@pytest.mark.parametrize(
    "key",
    [
        "tooshort",
        "passwordpassword",
        "Secret99Secret99!",
        "xyxyxyxyxyxyxyxyxy",
        "1111111111111111222",
        "2345678901234567",
        "zyxwvutsrqponmlkj",
        "sixteen chars ok?",
    ],
)
def test_a_weak_key_is_refused_at_startup_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_server_settings({}, {"HOME": "/nowhere", "STREAMRAG_SERVER_KEY": f"good:4c1b9e77a0d2f853,bad:{key}"})

    assert (raised.value.code, "openssl rand -hex 32" in raised.value.message) == ("bad_setting", True)
    assert "entry 2" in raised.value.message
    assert key not in raised.value.message


@pytest.mark.parametrize("key", ["9d1e0c77b2a4f658", "Tr0ub4dor&3-horse-staple", "b7" * 3 + "Qk_x-81.~pLm0/zW="])
def test_an_ordinary_key_is_accepted(key: str) -> None:
    assert weakness(key) == ""


@pytest.mark.fault("key-guessing")
def test_after_ten_wrong_keys_only_previously_accepted_keys_work(settings: Settings) -> None:
    with running_server(settings, replace(PLENTY, server_key=KEYS)) as server:
        at_work = search(server, bearer("9d1e0c77b2a4f658"))
        guesses = [search(server, bearer(f"guess-number-{number:04}")) for number in range(13)]
        right_guess = search(server, bearer("Ru7-sunny-Wq2-balcony"))
        still_at_work = search(server, bearer("9d1e0c77b2a4f658"))
        metrics = request(f"{server.url}/metrics", headers=bearer("9d1e0c77b2a4f658")).body.decode().splitlines()

    assert [reply.status for reply in guesses] == [401] * 10 + [429] * 3
    assert guesses[-1].code == "too_many_refused_keys"
    assert 1 <= int(guesses[-1].headers["retry-after"]) <= 60
    assert right_guess.body == guesses[-1].body
    assert (at_work.status, still_at_work.status) == (200, 200)
    assert 'streamrag_refused_total{code="too_many_refused_keys"} 4.0' in metrics


def test_a_request_without_a_key_does_not_count_as_a_guess(settings: Settings) -> None:
    with running_server(settings, replace(PLENTY, server_key=KEYS)) as server:
        assert {search(server, {}).code for _ in range(15)} == {"key_missing"}
        assert search(server, bearer("9d1e0c77b2a4f658")).status == 200


@pytest.mark.fault("key-guessing")
def test_guesses_from_one_address_do_not_lock_out_another() -> None:
    ring = KeyRing(split_keys(KEYS))
    for _ in range(11):
        with pytest.raises(RefusedError):
            ring.name_of("a-guess-that-is-wrong", "192.0.2.1")
    with pytest.raises(RefusedError) as blocked:
        ring.name_of("9d1e0c77b2a4f658", "192.0.2.1")

    assert blocked.value.status == 429
    assert ring.name_of("9d1e0c77b2a4f658", "192.0.2.2") == "laptop"


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("2001:db8:aa:bb:1::7", "2001:db8:aa:bb::/64"),
        ("2001:db8:aa:bb:ffff:ffff:ffff:ffff", "2001:db8:aa:bb::/64"),
        ("2001:db8:aa:bc::1", "2001:db8:aa:bc::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.3", "198.51.100.3"),
        ("198.51.100.3", "198.51.100.3"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_addresses_of_one_ipv6_network_count_as_one_client(address: str, group: str) -> None:
    assert client_group(address) == group


def test_the_rate_limit_uses_a_sliding_window() -> None:
    clock = Clock()
    rates = Rates("3/minute", clock)
    waits: list[int | None] = []
    for step_s in (0.0, 20.0, 20.0, 1.0, 18.5, 0.6, 0.0, 100.0):
        clock.now_s += step_s
        waits.append(rates.hit("a"))

    assert waits == [None, None, None, 19, 1, None, 20, None]
    assert rates.hit("b") is None


def test_idle_clients_are_removed_from_the_rate_limiter() -> None:
    clock = Clock()
    rates = Rates("3/second", clock)
    for number in range(1000):
        clock.now_s += 0.01
        rates.hit(str(number))

    assert len(rates._hits) < 250


@pytest.mark.fault("clock-set-back")
def test_setting_the_clock_back_does_not_lengthen_the_wait(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    with running_server(settings, replace(PLENTY, rate_limit="1/minute")) as server:
        first = search(server, {}).status
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 3600)
        refused = search(server, {})

    assert (first, refused.status) == (200, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    "key", ["password12345678", "YOUR_SECRET_KEY_HERE", "Administrator-123", "correcthorsebatterystaple"]
)
def test_a_key_that_contains_an_easily_guessed_word_is_weak(key: str) -> None:
    assert weakness(key) == "contains a word that is easy to guess; generate a key: openssl rand -hex 32"

"""`X-Forwarded-For` is used only from trusted proxies."""

from dataclasses import replace

import pytest

from streamrag_cli.errors import ConfigurationError, UsageError
from streamrag_cli.settings import ServerSettings, Settings, read_server_settings
from tests.support.http_client import request
from tests.support.running_server import running_server

TWO = ServerSettings(rate_limit="2/hour", grace_s=3.0)


def statuses(settings: Settings, server_settings: ServerSettings, *forwarded_for: str) -> list[int]:
    with running_server(settings, server_settings) as server:
        address = f"{server.url}/search?query=berth"
        return [request(address, headers={"X-Forwarded-For": each}).status for each in forwarded_for]


VARIED = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"]


@pytest.mark.fault("forwarded-addresses")
@pytest.mark.parametrize("trusted", [(), ("192.0.2.7",), ("10.0.0.0/8", "::1/128")])
def test_an_untrusted_proxys_header_is_ignored(
    trusted: tuple[str, ...], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")

    assert statuses(settings, replace(TWO, trusted_proxy=trusted), *VARIED) == [200, 200, 429, 429]


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8"])
def test_a_trusted_proxys_header_identifies_the_client(trusted: str, settings: Settings) -> None:
    named = replace(TWO, trusted_proxy=(trusted,))

    assert statuses(settings, named, *VARIED, "203.0.113.1", "203.0.113.1") == [200, 200, 200, 200, 200, 429]


@pytest.mark.fault("forwarded-addresses")
def test_only_the_address_appended_by_the_proxy_counts(settings: Settings) -> None:
    appended = [f"{claimed}, 198.51.100.9" for claimed in VARIED]

    assert statuses(settings, replace(TWO, trusted_proxy=("127.0.0.1",)), *appended) == [200, 200, 429, 429]


@pytest.mark.fault("forwarded-addresses")
def test_an_ipv6_network_shares_one_rate_limit(settings: Settings) -> None:
    addresses = ["2001:db8:5:6::1", "2001:db8:5:6:7:8:9:a", "2001:db8:5:6:ffff::", "2001:db8:5:7::1"]

    assert statuses(settings, replace(TWO, trusted_proxy=("127.0.0.1",)), *addresses) == [200, 200, 429, 200]


@pytest.mark.parametrize("value", ["*", "proxy.example.org", "10.0.0.1/8", "1.2.3"])
def test_a_trusted_proxy_must_be_an_address_or_network(value: str) -> None:
    with pytest.raises(ConfigurationError):
        read_server_settings({}, {"HOME": "/nowhere", "STREAMRAG_TRUSTED_PROXY": value})
    with pytest.raises(UsageError):
        read_server_settings({"trusted_proxy": value}, {"HOME": "/nowhere"})

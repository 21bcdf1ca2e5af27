"""Endpoints are built from settings, and invalid values are refused."""

import pytest

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.model_server.endpoint import EMBEDDING, ModelEndpoint, checked_base_url


@pytest.mark.parametrize(
    ("base_url", "used"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1"),
        ("http://localhost:11434/", "http://localhost:11434/v1"),
        ("http://localhost:11434/v1/", "http://localhost:11434/v1"),
        ("https://gateway.example/openai/v2", "https://gateway.example/openai/v2"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
        ("http://localhost:11434/api/generate", "http://localhost:11434/v1"),
        ("http://localhost:3000/api/chat/completions", "http://localhost:3000/api"),
    ],
)
def test_a_base_url_without_a_path_gets_v1_and_loses_a_trailing_slash(base_url: str, used: str) -> None:
    assert checked_base_url(base_url) == used


def test_blank_values_count_as_unset() -> None:
    assert ModelEndpoint.checked(model=" ", base_url="", api_key=None) == ModelEndpoint(model="")


def test_endpoint_values_are_stripped_and_made_encodable() -> None:
    checked = ModelEndpoint.checked(
        model=" caf\udce9 ", base_url=" http://host ", api_key=" sk-key\n", purpose=EMBEDDING
    )

    assert checked == ModelEndpoint(model="caf?", base_url="http://host/v1", api_key="sk-key", purpose=EMBEDDING)


@pytest.mark.parametrize("key", ["\u201csk-secret\u201d", "sk-\nsecret", "two secret words", "sk-secret\x7f"])
def test_a_key_invalid_in_a_header_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ModelEndpoint.checked(model="m", base_url=None, api_key=key)

    assert (caught.value.code, caught.value.hint) == ("key_refused", "export OPENAI_API_KEY=KEY")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("base_url", "address", "is_openai"),
    [
        (None, "api.openai.com:443", True),
        ("https://api.openai.com/v1", "api.openai.com:443", True),
        ("https://API.OpenAI.com:443/v1", "api.openai.com:443", True),
        ("http://api.openai.com/v1", "api.openai.com:80", False),
        ("https://api.openai.com.evil.example/v1", "api.openai.com.evil.example:443", False),
        ("http://[::1]:8080/v1", "[::1]:8080", False),
    ],
)
def test_openai_is_recognised_by_its_host_over_https(base_url: str | None, address: str, is_openai: bool) -> None:
    endpoint = ModelEndpoint(model="m", base_url=base_url)

    assert (endpoint.address, endpoint.is_openai) == (address, is_openai)

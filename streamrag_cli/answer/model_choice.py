"""Chooses the model that answers: the configured one, the only one that a server has, or none.

Requests a server's list of models with the standard library, because importing an HTTP library takes 0.1 to 0.2 s and
users without a model should not wait for it.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.error import URLError
from urllib.request import Request

from streamrag_cli.errors import ConfigurationError
from streamrag_cli.model_server import error_objects, errors
from streamrag_cli.model_server.deadline import Deadline
from streamrag_cli.model_server.endpoint import ModelEndpoint
from streamrag_cli.model_server.fetch import fetch
from streamrag_cli.model_server.model_cache import ModelCache
from streamrag_cli.model_server.network_policy import RedirectedError

DEFAULT_MODEL: Final = "gpt-5.4-mini"  # small, and by default answers without reasoning first
LOCAL_PORTS: Final[Mapping[str, int]] = {"Ollama": 11434, "llama.cpp": 8080, "LM Studio": 1234, "vLLM": 8000}
LIST_TIMEOUT_S: Final = 5.0
_PROBE_TIMEOUT_S: Final = 0.15
_LIST_BYTES: Final = 4_000_000
_SHOWN_MODELS: Final = 10
_STREAMRAG_PREFIX: Final = "streamrag"  # prefix of the models that `streamrag serve` lists, one per collection


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServer:
    """A model server on this machine. `models` are its chat models; their names are safe to show."""

    name: str
    base_url: str
    models: tuple[str, ...]


def choose_endpoint(
    *,
    model: str | None,
    base_url: str | None,
    api_key: str | None,
    timeout_s: float = LIST_TIMEOUT_S,
    known: ModelCache | None = None,
) -> ModelEndpoint | None:
    """The model to use, or None if none is configured and the answer will consist of quotes.

    | configured             | the model                                                       |
    |------------------------|-----------------------------------------------------------------|
    | nothing                | None                                                            |
    | key                    | `DEFAULT_MODEL` at OpenAI                                       |
    | model, key             | that model at OpenAI                                            |
    | model                  | error `key_missing`                                             |
    | base URL               | the one model the server lists; error `several_models` if more  |
    | base URL, model        | that model, unchecked                                           |

    With a base URL the key, if there is one, is sent to that server. Requesting the list takes at most `timeout_s`,
    and never more than 5 s; the result is cached in `known`. Raises ConfigurationError and ModelServerError.
    """
    endpoint = ModelEndpoint.checked(model=model, base_url=base_url, api_key=api_key)
    if endpoint == ModelEndpoint(model=""):
        return None
    if endpoint.is_openai and endpoint.api_key is None:
        raise errors.no_key(endpoint)
    if endpoint.model:
        return endpoint
    if endpoint.is_openai:
        return replace(endpoint, model=DEFAULT_MODEL)
    chosen = known.get(endpoint.url) if known else None
    if chosen is None:
        chosen = _only_model(endpoint, min(timeout_s, LIST_TIMEOUT_S))
        if known:
            known.remember(endpoint.url, chosen)
    return replace(endpoint, model=chosen)


def find_local_servers(ports: Mapping[str, int] = LOCAL_PORTS) -> list[LocalServer]:
    """The model servers that run on this machine. Takes a fraction of a second and never raises.

    Connects only to this machine, without a proxy. Skips other servers on these ports, and `streamrag serve`, which is
    not a model server.
    """
    with ThreadPoolExecutor(max_workers=max(1, len(ports)), thread_name_prefix="probe") as probes:
        servers = list(probes.map(_probe, ports.keys(), ports.values()))
    return [server for server in servers if server is not None]


def connect_hint(servers: Sequence[LocalServer], command: str, rest: str = "") -> str:
    """A clause that explains how to connect a model.

    It contains the command for the first of `servers` that has models, or else general advice. `command` and `rest` are
    the parts of the command before and after the flags.
    """
    for server in servers:
        if server.models:
            base_url, model = shlex.quote(server.base_url), shlex.quote(server.models[0])
            return f"to use {server.name} on this machine: {command} --base-url {base_url} -m {model}{rest}"
    return f"to connect a model: export OPENAI_API_KEY=KEY, or {command} --base-url URL{rest}"


def models_of(base_url: str, api_key: str | None, *, timeout_s: float) -> list[str]:
    """The chat models that a server lists; their names are safe to show.

    Raises ConfigurationError, ModelServerError, and ValueError if the reply is not a list of models.
    """
    endpoint = ModelEndpoint.checked(model=None, base_url=base_url, api_key=api_key)
    return [errors.shown_model(name) for name in _chat_models(_fetch_list(endpoint, timeout_s))]


def _only_model(endpoint: ModelEndpoint, timeout_s: float) -> str:
    body = _fetch_list(endpoint, timeout_s)
    try:
        models = _chat_models(body)
    except ValueError:
        raise errors.malformed("did not send a list of models in OpenAI's format", endpoint) from None
    if not models:
        raise ConfigurationError(
            f"{endpoint.address} lists no chat model",
            code="no_such_model",
            hint=f"streamrag ask -m MODEL --base-url {errors.shown_url(endpoint)} QUESTION",
        )
    if len(models) > 1:
        shown = [errors.shown_model(name) for name in models[:_SHOWN_MODELS]]
        more = f" and {len(models) - len(shown)} more" if len(models) > len(shown) else ""
        raise ConfigurationError(
            f"{endpoint.address} serves several models: {', '.join(shown)}{more}",
            code="several_models",
            hint=f"streamrag ask -m {shlex.quote(shown[0])} --base-url {errors.shown_url(endpoint)} QUESTION",
        )
    return models[0]


def _fetch_list(endpoint: ModelEndpoint, timeout_s: float) -> bytes:
    request = Request(f"{endpoint.url}/models", headers={"Accept": "application/json"})  # noqa: S310  (scheme is checked)
    if endpoint.api_key:
        request.add_header("Authorization", f"Bearer {endpoint.api_key}")
    try:
        status, body = fetch(request, limit_s=timeout_s, most_bytes=_LIST_BYTES)
    except RedirectedError as redirect:
        raise errors.redirected(redirect, endpoint) from None
    except TimeoutError:
        raise errors.no_list_in_time(timeout_s, endpoint) from None
    except UnicodeError:  # a host name with an empty or overlong label
        raise errors.unreachable("no such host", endpoint) from None
    except HTTPException:
        raise errors.malformed("did not send a valid HTTP reply", endpoint) from None
    except OSError as error:
        cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, BaseException) else error
        if isinstance(cause, TimeoutError):
            raise errors.no_list_in_time(timeout_s, endpoint) from None
        raise errors.unreachable(errors.reason_of(cause), endpoint) from None
    if not 200 <= status < 300:
        code, text = error_objects.code_and_text_in(body.decode("utf-8", "replace"))
        raise errors.status_error(status, code=code, text=text, endpoint=endpoint)
    return body


def _chat_models(body: bytes) -> list[str]:
    """The ids in a list of models, without embedding models. Raises ValueError if `body` is not a list of models."""
    try:
        listed = json.loads(body)
    except RecursionError:
        raise ValueError("the list of models is nested too deeply") from None
    if not isinstance(listed, dict) or "data" not in listed or not isinstance(listed["data"], list | None):
        raise ValueError("the reply is not a list of models")
    entries = listed["data"] or []
    ids = [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    if len(ids) < len(entries):
        raise ValueError("the list contains a model without a name")
    return [name for name in ids if "embed" not in name.lower()]


def _probe(name: str, port: int) -> LocalServer | None:
    connection = HTTPConnection("127.0.0.1", port, timeout=_PROBE_TIMEOUT_S)
    try:
        with Deadline(_PROBE_TIMEOUT_S) as deadline:
            connection.connect()
            deadline.watch(connection.sock)
            connection.request("GET", "/v1/models")
            response = connection.getresponse()
            if response.status != 200:
                return None
            models = _chat_models(response.read(_LIST_BYTES))
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()
    if models and all(each.partition("/")[0] == _STREAMRAG_PREFIX for each in models):
        return None
    return LocalServer(
        name=name, base_url=f"http://127.0.0.1:{port}/v1", models=tuple(errors.shown_model(each) for each in models)
    )

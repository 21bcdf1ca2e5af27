"""Model servers on the same machine are shown only to the operator, and are never probed for clients."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.network_namespace import watched

NOTICE = "no model is connected, so these are quotes from the documents"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return watched("tests.support.server_neighbours", Path(tmp_path_factory.mktemp("n")))


@pytest.mark.fault("visitor-without-model")
def test_a_local_model_is_probed_once_and_shown_only_to_the_operator(seen: dict[str, Any]) -> None:
    assert seen["next to a model"] == {
        "at start": 1,
        "operator": (
            "note: no model is connected, so answers are quotes; to use Ollama on this machine: "
            "streamrag serve --base-url http://127.0.0.1:11434/v1 -m llama\n"
        ),
        "by visitors": 0,
        "notices": [NOTICE],
        "chat names it": False,
        "ask names it": True,
    }


@pytest.mark.fault("own-server-on-model-port")
def test_a_streamrag_server_is_never_suggested_as_a_model(seen: dict[str, Any]) -> None:
    connect = "to connect a model: export OPENAI_API_KEY=KEY, or streamrag ask --base-url URL"

    assert seen["next to another server"] == {
        "operators": ["", ""],
        "ask": connect,
        "engine": connect,
        "doctor names it": False,
        "codes": [0, 0, 0],
    }

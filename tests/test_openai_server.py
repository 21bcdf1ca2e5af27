"""The fake model server that other tests use, in the test process and as a script."""

import json
import subprocess
import sys
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.support.openai_server import OpenAIServer, embedding_of


def post(url: str, body: dict[str, Any]) -> Any:
    with urlopen(Request(url, data=json.dumps(body).encode()), timeout=30) as response:
        return json.load(response)


def test_without_the_stream_option_the_answer_is_one_object() -> None:
    with OpenAIServer() as server:
        answered = post(f"{server.base_url}/chat/completions", {"model": "m", "messages": []})

    assert answered["choices"][0]["message"] == {"role": "assistant", "content": "Hello there."}


def test_fake_embeddings_are_deterministic_and_reflect_shared_words() -> None:
    with OpenAIServer(dimension=64) as server:
        answered = post(f"{server.base_url}/embeddings", {"model": "m", "input": ["red apples", "red pears", "a boat"]})
    apples, pears, boat = [entry["embedding"] for entry in answered["data"]]

    assert apples == embedding_of("red apples", dimension=64)
    assert sum(a * b for a, b in zip(apples, pears, strict=True)) > sum(
        a * b for a, b in zip(apples, boat, strict=True)
    )
    assert sum(value * value for value in boat) == pytest.approx(1.0)


def test_the_script_prints_its_base_url_and_streams_the_answer() -> None:
    command = [sys.executable, "-m", "tests.support.openai_server", "--answer", "Two words", "--delay-ms", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            body = {"model": "m", "messages": [], "stream": True}
            with urlopen(
                Request(f"{base_url}/chat/completions", data=json.dumps(body).encode()), timeout=30
            ) as response:
                lines = [json.loads(line[6:]) for line in response if line.startswith(b"data: {")]
        finally:
            process.terminate()

    assert [line["choices"][0]["delta"].get("content") for line in lines] == ["", "Two", " words", None]

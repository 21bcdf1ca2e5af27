"""Runs a server on a machine that also has a model server, or only another `streamrag serve`.

It runs in a `network_namespace`, where the default ports of model servers are free.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from streamrag_cli.settings import Settings
from tests.support.collection import make_collection
from tests.support.command_line import CommandLine
from tests.support.http_client import QUESTION, ask_url, post_json, streaming
from tests.support.openai_server import OpenAIServer
from tests.support.running_server import served

OLLAMA, VLLM = 11434, 8000
CHAT = {"model": "streamrag", "messages": [{"role": "user", "content": QUESTION}]}


def main(directory: Path, _: list[str]) -> dict[str, Any]:
    settings = make_collection(directory)
    user = CommandLine(home=directory, directory=directory, variables={"STREAMRAG_STORE": str(settings.store)})
    return {
        "next to a model": next_to_a_model(settings, user),
        "next to another server": next_to_another_server(settings, user),
    }


def next_to_a_model(settings: Settings, user: CommandLine) -> dict[str, Any]:
    with OpenAIServer(port=OLLAMA, models=["llama"]) as ollama:
        with served(settings) as server:
            at_start = len(ollama.requests)
            with streaming(ask_url(server.url)) as stream:
                notices = [event["message"] for event in stream.events() if event["type"] == "notice"]
            chat = post_json(f"{server.url}/v1/chat/completions", CHAT).body.decode()
            by_visitors = len(ollama.requests) - at_start
        outcome = user.run("ask", QUESTION)
    return {
        "at start": at_start,
        "operator": notes(server.stderr),
        "by visitors": by_visitors,
        "notices": notices,
        "chat names it": "11434" in chat or "llama" in chat,
        "ask names it": "to use Ollama on this machine: streamrag ask --base-url http://127.0.0.1:11434/v1 -m llama"
        in outcome.stderr,
    }


def next_to_another_server(settings: Settings, user: CommandLine) -> dict[str, Any]:
    with served(settings, "--port", str(VLLM)) as first:
        with served(settings) as second:
            pass
        outcome = user.run("ask", QUESTION)
        warm = replace(user, variables={**user.variables, "STREAMRAG_ENGINE": "on"})
        from_engine = warm.run("ask", QUESTION)
        warm.run("engine", "stop")
        doctor = user.run("doctor")
    ends = [
        " ".join(each.stderr.split()).rpartition("; ")[2].partition(" QUESTION")[0] for each in (outcome, from_engine)
    ]
    return {
        "operators": [notes(each.stderr) for each in (first, second)],
        "ask": ends[0],
        "engine": ends[1],
        "doctor names it": str(VLLM) in doctor.stdout.decode(),
        "codes": [asdict(each)["code"] for each in (outcome, from_engine, doctor)],
    }


def notes(stderr: str) -> str:
    """The server's notes on stderr, without the request log."""
    return "".join(line for line in stderr.splitlines(keepends=True) if line.startswith("note: "))

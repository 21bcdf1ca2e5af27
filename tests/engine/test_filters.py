"""The engine applies a question's filter."""

import json
from pathlib import Path

from streamrag_cli.codec import to_line
from streamrag_cli.engine.messages import Request, read_request
from streamrag_cli.model import Filter, PathPattern, Question
from streamrag_cli.settings import Settings
from tests.support.engines import start_engine, without_engine
from tests.support.warm_command_line import WarmCommandLine


def test_a_request_is_decoded_with_its_filter() -> None:
    scope = Filter(
        patterns=(PathPattern("/srv/*", "srv/*"),), since_ns=-5, suffixes=(".md",), file_names=("readme",), tags=("a",)
    )
    question = Question(text="Why?", accepted_at=1.0, filter=scope)
    settings = Settings(store=Path("/s"))

    assert read_request(to_line(Request(wants="ask", question=question, settings=settings))).question == question


def test_the_engine_answers_only_from_documents_that_the_filter_allows(user: WarmCommandLine) -> None:
    start_engine(user)
    command = ("search", "--json", "--min-score", "0", "--format", "txt", "high water")

    hits = json.loads(user.run(*command).stdout)["hits"]

    assert {hit["source"].rpartition("/")[2] for hit in hits} == {"tides.txt"}
    assert hits == json.loads(without_engine(user).run(*command).stdout)["hits"]

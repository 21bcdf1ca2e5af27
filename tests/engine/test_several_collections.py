"""The engine searches several collections."""

import json

from tests.support.engines import start_engine, without_engine
from tests.support.files import write_files
from tests.support.warm_command_line import WarmCommandLine


def test_the_engine_answers_from_several_collections(user: WarmCommandLine) -> None:
    write_files(user.directory, {"crew/ada.md": "# Ada\n\nAda Brandt, who built the lighthouse, is buried here.\n"})
    assert user.run("ingest", "crew", "-c", "crew").code == 0
    start_engine(user)
    command = ("search", "--json", "-c", "default", "-c", "crew", "Who built the lighthouse?")

    hits = json.loads(user.run(*command).stdout)["hits"]

    assert {hit["collection"] for hit in hits} == {"default", "crew"}
    assert hits == json.loads(without_engine(user).run(*command).stdout)["hits"]

"""Formats are defined only in the registry."""

import ast
import asyncio
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePath
from pkgutil import resolve_name

import pytest

import streamrag_cli
from streamrag_cli.documents import formats
from streamrag_cli.documents.formats import Format
from streamrag_cli.events import Token
from streamrag_cli.model import Question
from streamrag_cli.service.local import LocalService
from streamrag_cli.store.registry import open_store
from tests.support.collection import make_collection

LEDGER = Format(
    name="ledger", loader="tests.support.custom_loader:load_ledger", suffixes=".ledger .lgr", names="cashbook"
)


@pytest.fixture
def ledger() -> Iterator[None]:
    formats.register(LEDGER)
    yield
    formats.unregister(LEDGER)


@pytest.mark.usefixtures("ledger")
def test_a_registered_format_is_ingested_in_the_sandbox_and_searchable(tmp_path: Path) -> None:
    texts = {"dock.lgr": "crane fee: 35 euros\nslipway fee: 12 euros\n", "Cashbook": "harbour master: Jonna Lind\n"}
    settings = make_collection(tmp_path, texts)

    async def answer() -> str:
        question = Question(text="How much is the slipway fee?", accepted_at=0.0)
        events = LocalService().ask(question, settings)
        return "".join([event.text async for event in events if isinstance(event, Token)])

    with closing(open_store(settings.store).reader(settings.collection)) as reader:
        titles = {record.title for record in reader.catalog.documents_under("/")}
    assert "The slipway fee is 12 euros." in asyncio.run(answer())
    assert len(titles) == 1
    assert f"process {os.getpid()}" not in titles


def test_a_suffix_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match=r"suffixes or names already registered: \.md \.pdf"):
        formats.register(Format(name="twice", loader="x:y", suffixes=".pdf .new .md"))

    assert not formats.is_supported(PurePath("a.new"))


@pytest.mark.parametrize("suffix", sorted(formats.suffixes()))
def test_the_loader_of_every_suffix_exists(suffix: str) -> None:
    entry = formats.format_of(PurePath(f"a{suffix}"))

    assert entry is not None
    assert callable(resolve_name(entry.loader))


def test_no_other_module_has_a_table_of_suffixes() -> None:
    package = Path(streamrag_cli.__file__).parent
    tables = {
        str(module.relative_to(package)): sorted(strings)
        for module in package.rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Constant)
        and len(strings := _strings(node) & formats.suffixes()) >= 3
    }

    assert tables.keys() == {"documents/formats.py"}


def _strings(node: ast.AST) -> set[str]:
    return {
        word
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
        for word in each.value.split()
    }

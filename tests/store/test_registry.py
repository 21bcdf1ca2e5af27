"""Only the registry knows the backends; registering a new one is enough to use it everywhere."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

import streamrag_cli
from streamrag_cli.codec import to_line
from streamrag_cli.doctor.store_check import check_store
from streamrag_cli.engine.messages import Request, read_request
from streamrag_cli.retrieval.retriever import Retriever
from streamrag_cli.settings import read_settings
from streamrag_cli.store import backend
from streamrag_cli.store.copying import copy_collection
from streamrag_cli.store.local import Store as DirectoryKind
from streamrag_cli.store.postgres import Store as DatabaseKind
from streamrag_cli.store.registry import BACKENDS, open_store
from tests.support.collection import make_collection
from tests.support.stores import LocalStore, document, empty_store, texts

PACKAGE = Path(streamrag_cli.__file__).parent
BACKENDS_ARE_STORES: tuple[type[backend.Store], ...] = (DirectoryKind, DatabaseKind)
"""Type-checked by mypy."""


@pytest.fixture
def _shelves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the example backend."""
    monkeypatch.setitem(cast("dict[str, str]", BACKENDS), "shelf", "tests.support.shelf_store")


@pytest.mark.usefixtures("_shelves")
def test_a_registered_backend_can_be_written_read_and_removed(tmp_path: Path) -> None:
    with empty_store("tests.support.shelf_store", tmp_path) as store:
        store.put(document("ships.md", "ships cross the sea"))
        with store.reading() as reader, reader.snapshot():
            assert texts(reader) == {"ships cross the sea"}
        assert store.vector_ids() == {document("ships.md", "ships cross the sea")[1][0].id}
        store.remove()

        assert (store.address(), store.leftovers(), store.exists()) == (f"shelf:{tmp_path}/store", [], False)


@pytest.mark.usefixtures("_shelves")
def test_a_registered_backend_works_for_ingest_search_status_doctor_and_copy(tmp_path: Path) -> None:
    address = f"shelf:{tmp_path}/kept"
    requested = read_settings({"store": address}, {"HOME": str(tmp_path)})
    settings = make_collection(tmp_path, store=requested.store)
    retriever = Retriever.open(settings)
    retrieved = retriever.retrieve("When was the lighthouse built?", limit=5, min_score=0.3)
    retriever.close()

    assert [hit.source for hit in retrieved.hits][:1] == ["docs/lighthouse.md"]
    assert requested.store_named_by({"store": address}) == address
    assert read_request(to_line(Request(wants="status", settings=settings))).settings == settings
    assert [each.documents for each in backend.status_of(open_store(settings.store))] == [4]
    assert [each.state for each in check_store(settings, {}, full=False)] == ["ok"]
    copied = LocalStore(tmp_path / "copy")
    assert [*copy_collection(settings.store, copied.place, "default")][-1].documents == 4


def test_only_the_store_registry_depends_on_specific_backends() -> None:
    assert [branch for module in modules() for branch in branches(module)] == [
        "store/registry.py: isinstance(address, Path)"
    ]


def modules() -> list[Path]:
    """All modules in the package, except the backends themselves."""
    kinds = (PACKAGE / "store" / "local", PACKAGE / "store" / "postgres")
    return [
        each for each in sorted(PACKAGE.rglob("*.py")) if not any(each.is_relative_to(backend) for backend in kinds)
    ]


def branches(module: Path) -> Iterator[str]:
    """Places where a module checks the type of an address, or names a type of one backend."""
    shown = module.relative_to(PACKAGE)
    is_registry = shown == Path("store/registry.py")
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.Call(func=ast.Name("isinstance"), args=[_, kinds]) if "Path" in words_of(kinds):
                yield f"{shown}: {ast.unparse(node)}"
            case ast.Name(name) | ast.Attribute(attr=name) if name in {"PostgresUrl", "PostgresStore", "LocalStore"}:
                yield f"{shown}: {name}"
            case ast.MatchClass(cls=cls) if words_of(cls) & {"Path", "StoreUrl"}:
                yield f"{shown}: case {ast.unparse(cls)}"
            case ast.ImportFrom(module=str(name)) | ast.alias(name=name) | ast.Constant(value=str(name)) if (
                name.startswith(("streamrag_cli.store.local", "streamrag_cli.store.postgres")) and not is_registry
            ):
                yield f"{shown}: {name}"


def words_of(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}

"""Structured data is split into records whose values belong to one part."""

from typing import Any

import pytest

from streamrag_cli.answer import records as records_module
from streamrag_cli.answer.records import records
from tests.support.loading import loaded


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        (
            "shop.json",
            '{"shop": {"items": [{"name": "rope", "price": 12}, {"name": "bell", "price": 88}], "town": "Lenn"}}',
            ["shop: town: Lenn", "shop: items: name: rope; price: 12", "shop: items: name: bell; price: 88"],
        ),
        (
            "shop.xml",
            "<shop><item><name>rope</name><price>12</price></item><item><name>bell</name><price>88</price></item></shop>",
            ["shop: item: name: rope; price: 12", "shop: item: name: bell; price: 88"],
        ),
        (
            "api.yaml",
            "paths:\n  /ropes:\n    get:\n      maximum: 90\n  /bells:\n    get:\n      maximum: 15\n",
            ["paths: /ropes: get: maximum: 90", "paths: /bells: get: maximum: 15"],
        ),
        (
            "person.json",
            '{"person": {"name": "Ada", "home": {"town": "Lenn"}, "office": {"floor": 3}}}',
            ["person: name: Ada; home: town: Lenn; office: floor: 3"],
        ),
        ("ropes.csv", "name,price\nhemp,12\nnylon,9\n", ["name: hemp; price: 12", "name: nylon; price: 9"]),
    ],
)
def test_parts_with_the_same_field_names_are_separate_records(name: str, source: str, expected: list[str]) -> None:
    assert [record for record, _ in records(loaded(name, source).text)] == expected


def test_a_record_has_the_number_of_its_first_line() -> None:
    text = "a:\n  - x: 1\n    y: 2\n  - x: 3\n    y: 4\n\nb: 5"

    assert list(records(text)) == [("a: x: 1; y: 2", 1), ("a: x: 3; y: 4", 3), ("b: 5", 6)]


def test_the_names_of_each_part_are_determined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    depth = 60
    parts: list[int] = []
    names: Any = vars(records_module._Node)["names"].fget

    def counted(node: records_module._Node) -> object:
        parts.append(node.number)
        return names(node)

    monkeypatch.setattr(records_module._Node, "names", property(counted))
    text = "".join(f"{' ' * level}level{level}:\n" for level in range(depth)) + f"{' ' * depth}port: 80"

    assert len(list(records(text))) == 1
    assert sorted(parts) == list(range(depth))

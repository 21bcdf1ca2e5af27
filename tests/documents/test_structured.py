"""Structured files are split at their keys, and a section never contains a value of another entry."""

import pytest

from streamrag_cli.documents.chunking import chunk
from tests.support.loading import loaded, outline

LONG = "word " * 100


def test_yaml_is_split_at_keys_with_the_key_path_as_heading() -> None:
    source = (
        "# Copyright 2031 A. Smith. All rights reserved.\nforge:\n  # how hot\n  heat:\n    most: 900\n"
        f"    note: {LONG}\n  tools:\n  - name: tongs\n    weight: 3\n    note: {LONG}\n  - name: sledge\n"
        f"    weight: 9\n"
        "    text: |\n      most: 7\n      # kept\nother: 1\n"
    )

    assert [(path, text.split("\n")[0]) for path, text in outline(loaded("a.yaml", source))] == [
        ("forge", "forge:"),
        ("forge > heat", "# how hot"),
        ("forge > heat > most", "most: 900"),
        ("forge > heat > note", f"note: {LONG.strip()}"),
        ("forge > tools", "tools:"),
        ("forge > tools > tongs", "- name: tongs"),
        ("forge > tools > tongs > weight", "weight: 3"),
        ("forge > tools > tongs > note", f"note: {LONG.strip()}"),
        ("forge > tools > sledge", "- name: sledge"),
        ("other", "other: 1"),
    ]


def test_the_documents_of_a_yaml_file_are_separate_sections() -> None:
    source = (
        "kind: Forge\nmetadata:\n  name: north\nspec:\n  fires: 3\n---\nkind: Forge\nmetadata:\n"
        "  name: south\nspec:\n  fires: 8\n"
    )

    sections = [(path, text) for path, text in outline(loaded("a.yml", source)) if "fires" in text]

    assert sections == [
        ("Forge north > spec", "spec:\n  fires: 3"),
        ("Forge south > spec", "spec:\n  fires: 8"),
    ]


def test_json_in_any_layout_becomes_lines_of_names_and_values() -> None:
    pretty = (
        '{\n  "tools": [\n    {"name": "tongs", "note": "f\\u00fcr\\nEisen", "sizes": [1, 2]},\n'
        '    {"name": "sledge"}\n  ]\n}\n'
    )

    document = loaded("a.json", pretty)

    assert outline(document) == [
        ("tools", "tools:"),
        ("tools > tongs", "- name: tongs\n  note: für\n    Eisen\n  sizes: 1, 2"),
        ("tools > sledge", "- name: sledge"),
    ]
    assert document.line_numbers is not None
    assert list(document.line_numbers)[:2] == [2, 2]
    assert outline(loaded("a.json", "".join(pretty.split("\n")))) == outline(document)


def test_json5_is_supported_and_invalid_json_is_text() -> None:
    assert loaded("a.json5", "{ // heat\n  most: 900, 'least': +20,\n}").text.split() == [
        "most:",
        "900",
        "least:",
        "+20",
    ]
    for text in ('{"a": 1', "[" * 100_000, "a b", '{"a" "b"}', '{"a": "open\n'):
        assert loaded("a.json", text).text == text


def test_each_json_line_is_a_record() -> None:
    assert outline(loaded("a.jsonl", '{"id": 7, "text": "Tongs."}\nno json\n{"id": 8}\n')) == [
        ("7", "- id: 7\n  text: Tongs."),
        ("", "- no json"),
        ("8", "- id: 8"),
    ]


def test_toml_ini_and_hcl_are_split_at_tables_and_entries() -> None:
    toml = f'[forge.north]\nfires = [\n  1,\n  2,\n]\nnote = "{LONG}"\n[[tool]]\nname = "tongs"\n'
    ini = f"[north]\n; how many\nfires = 3\nnote = {LONG}\n[south]\nfires = 8\n"
    hcl = f'resource "forge" "north" {{\n  fires = 3\n  note = "{LONG}"\n}}\n'

    assert outline(loaded("a.toml", toml))[:2] == [
        ("forge.north", "[forge.north]"),
        ("forge.north > fires", "fires = [\n  1,\n  2,\n]"),
    ]
    assert [path for path, _ in outline(loaded("a.ini", ini))] == ["north", "north > fires", "north > note", "south"]
    assert outline(loaded("a.tf", hcl))[1] == ("resource forge north > fires", "fires = 3")


def test_xml_becomes_lines_of_names_and_text() -> None:
    source = (
        '<?xml version="1.0" encoding="latin-1"?>\n<shop>\n<!-- 80 -->\n<tool id="tongs"><kg>3</kg>\n'
        "<p>For <b>hot</b> iron.</p></tool>\n</shop>\n"
    )

    document = loaded("a.xml", source)

    assert outline(document) == [
        ("shop", "shop:\n  tool: id: tongs\n    kg: 3\n    p: For hot iron."),
    ]
    assert document.line_numbers is not None
    assert list(document.line_numbers)[:4] == [2, 4, 4, 5]


@pytest.mark.fault("hostile-markup")
def test_xml_that_defines_entities_is_loaded_as_plain_text() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>\n<a>&c;</a>\n'

    assert loaded("a.xml", bomb).text == bomb


@pytest.mark.fault("hostile-markup")
def test_a_yaml_alias_is_not_expanded() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"

    assert loaded("a.yaml", bomb).text.split() == bomb.split()


@pytest.mark.fault("hostile-markup")
@pytest.mark.timeout(60)
def test_one_long_line_is_split_between_records() -> None:
    records = ",".join(f'{{"id": {number}, "note": "iron no. {number}"}}' for number in range(20_000))

    chunks = list(chunk(loaded("a.json", f"[{records}]")))

    assert all(each.text.startswith("- id: ") for each in chunks)
    assert {each.line_start for each in chunks} == {1}


@pytest.mark.fault("hostile-markup")
@pytest.mark.timeout(60)
def test_deep_nesting_is_loaded_within_the_time_limit() -> None:
    loaded("a.yaml", "".join(" " * depth + "k:\n" for depth in range(2000)))
    loaded("a.yaml", "- " * 100_000)
    loaded("a.xml", "<a>" * 100_000)
    loaded("a.tf", "a {\n" * 50_000)
    loaded("a.toml", "[" + "a." * 50_000 + "b]\n")
    loaded("a.json", '{"a":' * 50_000)

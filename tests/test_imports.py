"""How modules of the package import each other."""

import grimp


def test_modules_have_no_circular_imports() -> None:
    """Not by a late import either, nor by one for types alone."""
    graph = grimp.build_graph("streamrag_cli", exclude_type_checking_imports=False, cache_dir=None)
    # Whatever is left when modules that import nothing more of what is left are taken away, again and again.
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while leaves := {module for module, imported in imports.items() if not imported & imports.keys() - {module}}:
        imports = {module: imported for module, imported in imports.items() if module not in leaves}

    assert {module: sorted(imported & imports.keys()) for module, imported in imports.items()} == {}

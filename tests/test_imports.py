"""Imports between modules in the package."""

import grimp


def test_modules_have_no_circular_imports() -> None:
    """Late imports and imports only for types count as well."""
    graph = grimp.build_graph("streamrag_cli", exclude_type_checking_imports=False, cache_dir=None)
    # Repeatedly remove modules that import no remaining module; modules in a cycle are left over.
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while leaves := {module for module, imported in imports.items() if not imported & imports.keys() - {module}}:
        imports = {module: imported for module, imported in imports.items() if module not in leaves}

    assert {module: sorted(imported & imports.keys()) for module, imported in imports.items()} == {}

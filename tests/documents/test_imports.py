import subprocess
import sys

MODULES = "discover, read, load, sandbox, chunking, formats"
PARSERS = {"lxml", "docx", "pypdfium2", "docutils", "markdown_it", "charset_normalizer"}


def test_importing_the_document_modules_imports_no_parser() -> None:
    program = f"import sys\nfrom streamrag_cli.documents import {MODULES}\nprint(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()

    assert PARSERS & set(loaded) == set()

import subprocess
import sys

MODULES = "discover, read, load, sandbox, chunking, formats"
PARSERS = {"lxml", "docx", "pypdfium2", "docutils", "markdown_it", "charset_normalizer"}


def test_importing_the_document_modules_imports_no_parser() -> None:
    program = f"import sys\nfrom streamrag_cli.documents import {MODULES}\nprint(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()

    assert PARSERS & set(loaded) == set()


def test_loading_text_imports_no_parser_of_another_format() -> None:
    program = (
        "import sys\nfrom tests.support.loading import loaded\n"
        "for name in ('a.txt', 'a.md', 'a.py'):\n    loaded(name, '# Title')\nprint(*sys.modules)"
    )

    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    modules = set(run.stdout.split())
    loaders = {name.rpartition(".")[2] for name in modules if ".documents.loaders." in name}

    assert (PARSERS - {"charset_normalizer", "markdown_it"}) & modules == set()
    assert (
        loaders & {"docx", "epub", "image", "latex", "mail", "odp", "ods", "odt", "pdf", "pptx", "rtf", "xlsx"} == set()
    )

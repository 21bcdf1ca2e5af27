import streamrag_cli  # noqa: F401 - silences libraries before any is imported

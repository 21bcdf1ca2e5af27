"""Runs `streamrag` as `python -m streamrag_cli`."""

from streamrag_cli.cli.main import main

if __name__ == "__main__":
    main()

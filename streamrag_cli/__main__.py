"""`python -m streamrag_cli` is `streamrag`."""

from streamrag_cli.cli.main import main

if __name__ == "__main__":
    main()

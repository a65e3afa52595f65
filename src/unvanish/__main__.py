"""Run `python -m unvanish` as the `unvanish` command."""

from unvanish.cli.main import main

if __name__ == "__main__":
    main()

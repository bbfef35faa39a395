"""``python -m dse_cli`` is ``dse``."""

from dse_cli.cli.main import main

if __name__ == "__main__":
    main()

"""``python -m dse_cli`` is ``dse``."""

from __future__ import annotations

import os
import sys


def _run() -> None:
    # ``-m`` puts the working folder first on the import path: a ``yaml.py`` of a project would run
    # in place of the library, and nobody has allowed its code.
    if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 - as Python wrote it
        del sys.path[0]
    from dse_cli.cli.main import main

    main()


if __name__ == "__main__":
    _run()

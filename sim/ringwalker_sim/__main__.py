"""``python -m ringwalker_sim``: the ``ringwalker`` command, where its folder is not on the path."""

import sys

from .cli.main import main

__all__: list[str] = []

sys.exit(main())

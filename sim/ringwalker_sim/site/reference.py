"""The pages of reference that are made from the code: commands, configuration, features, library.

``python -m ringwalker_sim.site`` writes them into ``docs/reference``; a test compares them.
"""

from collections.abc import Mapping

from .command_page import commands_page
from .config_page import configuration_page
from .feature_page import features_page
from .python_page import python_page

__all__ = ["reference_pages"]


def reference_pages() -> Mapping[str, str]:
    """Names of files in ``docs/reference``, and their text."""
    return {
        "commands.md": commands_page(),
        "configuration.md": configuration_page(),
        "features.md": features_page(),
        "python.md": python_page(),
    }

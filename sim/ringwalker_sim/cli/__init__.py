"""The ``ringwalker`` command, one module a command."""

"""The ``ringwalker`` command, one module a command; :mod:`.main` has the table of them."""

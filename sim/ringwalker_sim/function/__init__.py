"""The simulation's half of each function: one module a function, with a record ``SIMULATION``.

:mod:`.simulation` says what such a record has. The kind of a function names it as ``"package.module:Name"``.
"""

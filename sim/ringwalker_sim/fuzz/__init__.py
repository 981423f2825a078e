"""Hostile cases: random and mutated operations on a device, with rules that hold whatever a driver does.

:mod:`.operations` is what can be done to a device, :mod:`.case` a case of it in both forms, :mod:`.outcome`
what a case has shown.
"""

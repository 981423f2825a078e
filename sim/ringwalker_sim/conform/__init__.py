"""Conformance: does a virtio PCI device keep to the specification?

:mod:`.clauses` are the normative statements, :mod:`.checks` the tests of the suite, :mod:`.subject` the
device under test. Nothing here knows which device that is.
"""

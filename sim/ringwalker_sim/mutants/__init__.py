"""Faults planted in the hardware on purpose, and who notices them: docs/mutants.md."""

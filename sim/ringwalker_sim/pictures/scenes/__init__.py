"""The scenes: runs of a few cycles that show what a block is for."""

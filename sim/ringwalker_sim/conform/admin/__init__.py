"""The administration queue as the checks use it, objects made by it, and virtual functions."""

"""The version of both packages: everything else takes it from here."""

__all__ = ["__version__"]

__version__ = "0.2.0"

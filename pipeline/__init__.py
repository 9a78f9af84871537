"""Holdfast: the web archive that proves itself."""

__all__ = ["__version__"]

__version__ = "0.1.0"

"""Holdfast: the web archive that proves itself."""

__version__ = "0.1.0"

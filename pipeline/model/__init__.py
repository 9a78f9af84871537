"""Frozen values and pure rules that all parts share; nothing here does I/O."""

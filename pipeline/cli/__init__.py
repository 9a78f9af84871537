"""The command `holdfast`: verbs, options, exit codes, and what is printed where."""

from pipeline.cli.command import cli, main

__all__ = ["cli", "main"]

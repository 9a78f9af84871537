"""What the tests on real sites share: the installed command, and the rule for skipping."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import bed

Run = Callable[..., "subprocess.CompletedProcess[str]"]

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def need() -> Callable[[Sequence[bed.Tree]], None]:
    """Skip where packages are missing, and say which; in CI, fail."""

    def need(trees: Sequence[bed.Tree]) -> None:
        install = bed.missing(trees, ["gzip", "sha256sum"])
        if install and os.environ.get("HOLDFAST_REQUIRE_REAL"):
            pytest.fail(f"HOLDFAST_REQUIRE_REAL is set and something is missing: {install}")
        if install:
            pytest.skip(f"real sites are not on this machine: {install}")

    return need


@pytest.fixture(scope="session")
def holdfast() -> Path:
    """Give the command as it is installed in this environment."""
    return BIN / "holdfast"


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a program of this environment, or of the machine, and give its output as text."""

    def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        program = BIN / command[0]
        first = program if program.is_file() else command[0]
        return subprocess.run(
            [first, *command[1:]], cwd=cwd, capture_output=True, text=True, check=False
        )

    return run

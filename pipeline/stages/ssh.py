"""Signatures by OpenSSH's own program, so that agents, passphrases and FIDO keys work as ever.

For signing and verification. No private key is ever read into this process further than its public
half; what is secret stays with `ssh-keygen`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from msgspec import Struct

from pipeline.errors import ConfigError
from pipeline.fixity import sshsig
from pipeline.fixity.signers import PRINCIPAL
from pipeline.fixity.sshsig import PublicKey, Signature

PROGRAM: Final = "ssh-keygen"

_SIGN_S = 300  # somebody may have to find and touch a token
_VERIFY_S = 30


class SigningKey(Struct, frozen=True):
    """A key that can sign: the file that `ssh-keygen` is given, and its public half."""

    path: Path
    public: PublicKey


def is_here() -> bool:
    """Tell whether signatures can be made and checked on this machine."""
    return shutil.which(PROGRAM) is not None


def load(path: Path, archive: Path) -> SigningKey:
    """Look at a key before anything is done that it is to sign.

    Args:
        path: a private key, or a `.pub` file whose private half the agent has.
        archive: root of the archive, outside of which the key must lie.

    Raises:
        ConfigError: it is no key, lies where others can read it, or there is no `ssh-keygen`.

    """
    if not is_here():
        raise ConfigError(
            f"{PROGRAM}: not found, and signing needs it; install OpenSSH's client programs"
            " (Debian: apt install openssh-client)"
        )
    if path.resolve().is_relative_to(archive.resolve()):
        raise ConfigError(
            f"{path}: lies inside the archive; move the key elsewhere: it must not be copied with"
            " what it vouches for"
        )
    try:
        with path.open("rb") as file:
            data = file.read(sshsig.MAX_BYTES)
        if sshsig.is_private(data) and path.stat().st_mode & 0o077:
            raise ConfigError(
                f"{path}: others than you can read this key, so it is not used;"
                f" run chmod 600 {path}, or make a new one if somebody may have"
            )
        public = _public(path, data)
    except OSError as error:
        raise ConfigError(f"{path}: the key could not be read: {error.strerror}") from None
    if public is None:
        raise ConfigError(
            f"{path}: no key of OpenSSH; make one with ssh-keygen -t ed25519 -f FILE, or, if it is"
            f" an older one, write its public half beside it: ssh-keygen -y -f {path} > {path}.pub"
        )
    return SigningKey(path, public)


def _public(path: Path, data: bytes) -> PublicKey | None:
    if not sshsig.is_private(data):
        return PublicKey.parse(data.decode("utf-8", "replace"))
    if found := sshsig.public_half(data):
        return found
    beside = path.with_name(path.name + ".pub")
    return PublicKey.parse(beside.read_text("utf-8", "replace")) if beside.is_file() else None


def sign(key: SigningKey, namespace: str, data: bytes) -> bytes:
    """Sign `data` and give the armored signature.

    Raises:
        ConfigError: `ssh-keygen` could not, or did so with another key.

    """
    arguments = ["sign", "-f", str(key.path), "-n", namespace]
    try:
        done = _run(arguments, data, _SIGN_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{key.path}: {PROGRAM} could not sign with it: {error}") from None
    made = Signature.parse(done.stdout) if done.returncode == 0 else None
    if made is None or made.key != key.public:
        said = done.stderr.decode("utf-8", "replace").strip() or "it signed with another key"
        raise ConfigError(
            f"{key.path}: {PROGRAM} could not sign with it: {said}. Everything is sealed, but not"
            " signed: see to the key or its agent, then run holdfast sign"
        )
    return done.stdout


def holds(key: PublicKey, namespace: str, data: bytes, armored: bytes) -> bool:
    """Tell whether `armored` is a signature over `data` by `key` and for this purpose.

    Raises:
        OSError: `ssh-keygen` could not be run, or its files not be written.

    """
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        signers, signature = Path(folder, "signers"), Path(folder, "signature")
        # without dates: which key counted when is a matter of the ledger's lines, not of clocks
        signers.write_text(f"{PRINCIPAL} {key.line}\n")
        signature.write_bytes(armored)
        whose = ["-f", str(signers), "-I", PRINCIPAL]
        arguments = ["verify", *whose, "-n", namespace, "-s", str(signature)]
        try:
            return _run(arguments, data, _VERIFY_S).returncode == 0
        except subprocess.TimeoutExpired:
            raise OSError(f"no answer within {_VERIFY_S} seconds") from None


def _run(arguments: list[str], data: bytes, limit_s: float) -> subprocess.CompletedProcess[bytes]:
    # no shell, and every argument is ours but the path of the operator's key
    return subprocess.run(  # noqa: S603
        [PROGRAM, "-Y", *arguments], input=data, capture_output=True, timeout=limit_s, check=False
    )

"""Our errors: what the operator must hear about, and the exit code that goes with it.

Expected trouble is a value (an outcome, a finding, an anomaly), never one of these.

    HoldfastError
    +- ConfigError      2   the operator's file or call is wrong: where, and what was expected
    +- NoArchive       10   this folder is no archive
    +- ArchiveLocked   11   another process is writing to the archive
    +- IntegrityError   4   what is on disk is not what it must be
    +- StorageError     3   the disk did not take the bytes; the next start recovers
"""

from __future__ import annotations


class HoldfastError(Exception):
    """Base of all errors shown to the operator as one message, without a traceback."""

    exit_code = 1


class ConfigError(HoldfastError):
    """A setting, seed file or argument is wrong."""

    exit_code = 2


class NoArchive(HoldfastError):
    """The folder has no config.toml."""

    exit_code = 10


class ArchiveLocked(HoldfastError):
    """Another process holds the archive's lock."""

    exit_code = 11


class IntegrityError(HoldfastError):
    """A stored file contradicts its own records."""

    exit_code = 4


class StorageError(HoldfastError):
    """A write or an fsync failed; only the next start can tell what reached the disk."""

    exit_code = 3

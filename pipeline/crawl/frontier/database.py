"""The database file of the frontier: its tables, and failures told as the disk's.

Only the modules of this folder write statements for it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, StorageError

SCHEMA = """
CREATE TABLE run(
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, name TEXT NOT NULL UNIQUE,
    started_at REAL NOT NULL, finished_at REAL,
    active_s REAL NOT NULL DEFAULT 0, ended_by TEXT NOT NULL DEFAULT '',
    reserved INTEGER NOT NULL DEFAULT 0,
    discovered INTEGER NOT NULL DEFAULT 0, captured INTEGER NOT NULL DEFAULT 0,
    revisit INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, received INTEGER NOT NULL DEFAULT 0,
    new INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0, vanished INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX run_unfinished ON run(collection) WHERE finished_at IS NULL;
CREATE TABLE host(
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, origin TEXT NOT NULL,
    next_at REAL NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '',
    owner INTEGER, epoch INTEGER NOT NULL DEFAULT 0, lease_until REAL NOT NULL DEFAULT 0,
    idle INTEGER NOT NULL DEFAULT 1, set_aside INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, robots_id INTEGER, robots_status INTEGER,
    robots BLOB, robots_until REAL NOT NULL DEFAULT 0, cookies BLOB,
    asked INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    spent_ms INTEGER NOT NULL DEFAULT 0, received INTEGER NOT NULL DEFAULT 0,
    UNIQUE(run_id, origin));
CREATE INDEX host_free ON host(run_id, next_at) WHERE idle = 0;
CREATE INDEX host_set_aside ON host(run_id) WHERE set_aside = 1;
CREATE TABLE url(
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, host_id INTEGER NOT NULL,
    key INTEGER NOT NULL UNIQUE, url TEXT NOT NULL, via INTEGER, hops TEXT NOT NULL);
CREATE TABLE todo(
    host_id INTEGER NOT NULL, priority INTEGER NOT NULL, url_id INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0,
    PRIMARY KEY(host_id, priority, url_id)) WITHOUT ROWID;
CREATE TABLE declined(
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, key INTEGER NOT NULL UNIQUE,
    url TEXT NOT NULL, via INTEGER, hops TEXT NOT NULL, rule_id INTEGER NOT NULL);
CREATE TABLE rule(
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, reason TEXT NOT NULL, words TEXT NOT NULL,
    declined INTEGER NOT NULL DEFAULT 0, UNIQUE(run_id, words));
CREATE TABLE outcome(
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, url_id INTEGER NOT NULL, at REAL NOT NULL,
    kind TEXT NOT NULL, reason TEXT NOT NULL, status INTEGER, mime TEXT NOT NULL,
    received INTEGER NOT NULL, duration_ms INTEGER NOT NULL,
    warc_id INTEGER, offset INTEGER, length INTEGER);
CREATE TABLE minute(
    run_id INTEGER NOT NULL, at INTEGER NOT NULL, captured INTEGER NOT NULL,
    received INTEGER NOT NULL, PRIMARY KEY(run_id, at)) WITHOUT ROWID;
CREATE TABLE warc(
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, serial INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE, opening INTEGER NOT NULL DEFAULT 0,
    committed INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL);
CREATE TABLE worker(
    id INTEGER PRIMARY KEY, seen_at REAL NOT NULL, reserved INTEGER NOT NULL DEFAULT 0,
    allowed INTEGER NOT NULL DEFAULT 0);
"""
VERSION = 3


class _Cursor(sqlite3.Cursor):
    """Rows of a database that may be damaged; to be fetched, not iterated."""

    connection: Database

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.DatabaseError as error:
            raise _as_storage(error, self.connection.name) from error

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.DatabaseError as error:
            raise _as_storage(error, self.connection.name) from error


class Database(sqlite3.Connection):
    """A connection whose failures are the disk's, and told as such.

    Attributes:
        name: the last part of the file's path.

    """

    name = ""

    def cursor(self, factory: Any = None, /) -> Any:
        """Make the cursor that `execute` gives."""
        return super().cursor(factory or _Cursor)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement.

        Raises:
            StorageError: the disk is full or broken, or the database is damaged.

        """
        try:
            return super().execute(sql, parameters)
        except sqlite3.DatabaseError as error:
            raise _as_storage(error, self.name) from error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Run one statement for each row; raises as `execute` does."""
        try:
            return super().executemany(sql, parameters)
        except sqlite3.DatabaseError as error:
            raise _as_storage(error, self.name) from error


def _as_storage(error: sqlite3.DatabaseError, name: str) -> Exception:
    """Tell a failure of the disk as such; give back what is our own mistake."""
    # the subclasses but this one are our own mistakes
    if type(error) not in (sqlite3.DatabaseError, sqlite3.OperationalError):
        return error
    return StorageError(
        f".holdfast/{name}: {error}; nothing committed is lost:"
        " make sure that the disk is sound and has room, then run holdfast crawl again."
        " If the file itself is damaged, move it away: what is sealed stays"
    )


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _as_storage(error, name) from error


def connect(path: Path, schema: str = SCHEMA, version: int = VERSION) -> Database:
    """Open the database, creating it when it is not there.

    Args:
        path: the file.
        schema: statements that make its tables, by default those of the frontier.
        version: the number of that schema.

    Raises:
        ConfigError: another version of Holdfast made it.
        StorageError: see `Database.execute`.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _told(path.name):
        connection = sqlite3.connect(
            path, timeout=30, isolation_level=None, check_same_thread=False, factory=Database
        )
    connection.name = path.name
    try:
        # NORMAL is enough: what power loss undoes, the next start cuts off the WARC
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=4000"):
            connection.execute(f"PRAGMA {pragma}")
        with transaction(connection):
            if _version(connection, path, version) == 0:
                for statement in schema.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={version}")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(database: Database, path: Path, expected: int = VERSION) -> int:
    """Give the schema's number, 0 for an empty database."""
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version not in (0, expected):
        raise ConfigError(
            f"{path}: was made by another version of Holdfast (schema {version}, not {expected});"
            " finish its crawl with that version, or delete the file and crawl anew"
        )
    return version


@contextmanager
def transaction(connection: Database) -> Iterator[None]:
    """All or nothing: what happens inside is one commit."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # after a failure of the disk SQLite may have rolled back already
        if connection.in_transaction:
            with suppress(StorageError):
                connection.execute("ROLLBACK")
        raise


@contextmanager
def read_only(path: Path) -> Iterator[Database]:
    """Open the database without writing to it; raises as `connect` does."""
    with _told(path.name):
        # on a medium that cannot be written SQLite may not make its shared memory, nor need it
        still = "" if os.access(path.parent, os.W_OK) else "&immutable=1"
        address = f"{path.absolute().as_uri()}?mode=ro{still}"
        database = sqlite3.connect(address, uri=True, factory=Database)
    database.name = path.name
    with closing(database):
        _version(database, path)
        yield database

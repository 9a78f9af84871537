"""The comparison of manifest, ledger and disk, as values."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pipeline.fixity import audit
from pipeline.fixity.audit import Expected, Observed
from pipeline.fixity.ledger import Ledger, SealedFile
from pipeline.fixity.manifest import Manifest
from pipeline.fixity.merkle import Tree

A, B = "a" * 64, "b" * 64


def listed(**entries: str) -> Manifest:
    return Manifest(entries={f"warc/{name}": digest for name, digest in entries.items()})


def sealed(last: str = "", **entries: str) -> Ledger:
    return Ledger(
        tree=Tree(),
        end=0,
        origin="holdfast/test",
        begins="creation",
        rotations=(),
        objects={
            f"warc/{name}": SealedFile(path=f"warc/{name}", sha256=digest, size=3)
            for name, digest in entries.items()
        },
        last=frozenset(f"warc/{name}" for name in last),
        torn=0,
        faults=(),
    )


@pytest.mark.parametrize(
    ("manifest", "ledger", "found"),
    [
        (listed(a=A), sealed(a=A), []),
        (listed(), sealed(), []),
        (None, None, []),
        (None, sealed(), []),
        (listed(), None, []),
        (listed(a=A), sealed(a=B), [("E413", "warc/a")]),
        (listed(a=A, b=B), sealed(a=A), [("E413", "warc/b")]),
        (listed(a=A), sealed(a=A, b=B), [("E413", "warc/b")]),
        (listed(a=A), sealed(last="bc", a=A, b=B, c=A), [("W413", "warc/b"), ("W413", "warc/c")]),
        (listed(b=B), sealed(last="b", a=A, b=B), [("E413", "warc/a")]),
        (None, sealed(a=A), [("E414", "fixity/manifest-sha256.txt")]),
        (listed(a=A), None, [("E423", "fixity/ledger.jsonl")]),
    ],
)
def test_the_two_accounts_are_held_against_each_other(manifest, ledger, found):
    findings = list(audit.accounts(manifest, ledger))
    assert [(each.code, each.path) for each in findings] == found


def test_what_is_expected_is_what_either_account_lists():
    expected = audit.expect(listed(a=A, b=A), sealed(b=B, c=B))
    assert expected == {
        "warc/a": Expected(path="warc/a", sha256=A, size=None),
        "warc/b": Expected(path="warc/b", sha256=B, size=3),
        "warc/c": Expected(path="warc/c", sha256=B, size=3),
    }


@pytest.mark.parametrize(
    ("observed", "code"),
    [
        (Observed(size=3, sha256=A), None),
        (Observed(size=3, sha256=B), "E402"),
        (Observed(size=4, sha256=A), "E402"),
        (Observed(trouble="missing"), "E401"),
        (Observed(trouble="not-plain"), "E404"),
        (Observed(trouble="unreadable"), "E106"),
        (Observed(trouble="denied"), "W106"),
    ],
)
def test_a_file_is_held_against_what_was_sealed(observed, code):
    finding = audit.file(Expected(path="warc/a", sha256=A, size=3), observed)
    assert (finding.code if finding else None) == code


@pytest.mark.parametrize(("begins", "found"), [("creation", 0), ("", 0), ("capture", 1)])
def test_a_ledger_begins_with_the_creation_of_the_archive(begins, found):
    codes = [each.code for each in audit.beginning(replace(sealed(), begins=begins))]
    assert codes == ["W422"] * found


def test_what_was_left_unfinished_is_told_with_what_to_do():
    half, crawl = audit.unfinished(["warc/c/n.warc.gz.open", "warc/c/n.cdxj.tmp"][::-1])
    assert (half.code, half.severity, crawl.code) == ("W403", "warning", "W403")
    assert half.path.endswith(".tmp") and "deleted" in half.message
    assert crawl.path.endswith(".open") and "holdfast crawl" in crawl.message

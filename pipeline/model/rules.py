"""The rules that archives are held to: the code of each finding and what it means, in one line.

`E…` is what must not be: the standard is broken, or stored bytes contradict their own records.
`W…` is what the standard allows and FORMAT.md does not, or what is not finished.
docs/findings.md says what to do about each.
"""

from __future__ import annotations

from typing import Final

MEANING: Final[dict[str, str]] = {
    # E1: the file as a train of gzip members (RFC 1952, WARC 1.1 §4 and annex D)
    "E101": "no gzip member where one must begin",
    "E102": "compressed data damaged",
    "E103": "content does not match the gzip member's checksum",
    "E104": "file ends inside a gzip member",
    "E106": "file cannot be read: the disk reports an error",
    "E110": "record does not begin with a WARC version",
    "E111": "record's header does not end, or is too long",
    "E112": "line in a record's header is no field",
    "E113": "Content-Length missing, repeated or no number",
    "E114": "block shorter than Content-Length",
    "E115": "block not followed by CRLF CRLF",
    "E116": "more than one record in a gzip member",
    "E199": "more findings in this file than are listed",
    # E2: fields of records (WARC 1.1 §5, §6)
    "E201": "required field missing",
    "E202": "field repeated that must not be",
    "E203": "record id is not a URI in angle brackets",
    "E204": "record id used twice",
    "E205": "date not in the standard's form",
    "E206": "target URI missing, or where none may be",
    "E207": "record refers to a warcinfo that is not in the file",
    "E208": "record refers to a concurrent record that is not in the file",
    "E209": "stored body is not whole and WARC-Truncated does not say so",
    # E3: digests in records (WARC 1.1 §5.8, §5.9)
    "E301": "block does not match its digest",
    "E302": "payload does not match its digest",
    "E303": "digest cannot be read, or its algorithm is unknown",
    # E4: manifest, ledger, index and documents against the disk (FORMAT.md §3, §4, §7, §8)
    "E401": "listed file missing",
    "E402": "file is not what was sealed",
    "E403": "file is in no manifest",
    "E404": "not a plain file inside the archive",
    "E405": "member of a WARC file changed, moved or gone",
    "E406": "member that was not there when the file was sealed",
    "E411": "manifest line cannot be read",
    "E412": "path in manifest or ledger not allowed",
    "E413": "manifest and ledger disagree",
    "E414": "manifest missing",
    "E421": "ledger line cannot be read",
    "E422": "ledger chain broken",
    "E423": "ledger missing",
    "E431": "members.jsonl does not describe the WARC file",
    "E432": "cdxj does not describe the WARC file",
    "E441": "documents cannot be read",
    # E45: checkpoint, signature and keys (FORMAT.md §8 to §10)
    "E450": "allowed_signers is not what the ledger says",
    "E451": "checkpoint missing, or cannot be read",
    "E452": "checkpoint does not match the ledger",
    "E453": "ledger is shorter than it was: lines are gone",
    "E454": "ledger is not a continuation of the one that was seen before",
    "E455": "checkpoint of another ledger",
    "E456": "signature missing",
    "E457": "signature does not hold",
    "E458": "signed with a key that is not this archive's",
    "E459": "key was not in force, or no key before vouched for it",
    # W: allowed by the standard, not by FORMAT.md; or not finished
    "W102": "gzip header with flags, name or time",
    "W106": "file may not be read",
    "W110": "WARC/1.0",
    "W111": "field in a record's header is folded over several lines",
    "W112": "record's header is not UTF-8",
    "W201": "first record is no warcinfo",
    "W202": "record names no warcinfo",
    "W203": "target URI in angle brackets",
    "W204": "record without a block digest",
    "W205": "block without Content-Type",
    "W206": "revisit that does not say what it refers to",
    "W210": "WARC-Truncated has a reason that WARC 1.1 does not know",
    "W302": "payload digest is over the undecoded body",
    "W403": "file is not sealed: left over from a process that ended too early",
    "W413": "manifest is behind the ledger by its last event",
    "W421": "last ledger line was cut short by power loss",
    "W422": "ledger does not begin with the creation of the archive",
    "W432": "cdxj is as another version of Holdfast made it",
    "W451": "checkpoint is behind the ledger",
    "W452": "signature could not be checked",
}


def explain(code: str, detail: str = "") -> str:
    """Say what `code` means and, where there is more to say, what this case of it is."""
    return f"{MEANING[code]}: {detail}" if detail else MEANING[code]

"""One ledger may be the beginning of another; whatever else is told from that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.fixity.lineage import compare


def write(folder, name, lines, tail=b""):
    path = folder / name
    path.write_bytes(b"".join(line + b"\n" for line in lines) + tail)
    return path


def test_each_relation_is_told(tmp_path):
    ours = write(tmp_path, "ours", [b"a", b"b", b"c"])
    for lines, relation, parted in (
        ([b"a", b"b", b"c"], "same", None),
        ([b"a", b"b"], "behind", None),
        ([], "behind", None),
        ([b"a", b"b", b"c", b"d"], "ahead", None),
        ([b"a", b"x", b"c"], "forked", 1),
        ([b"x"], "forked", 0),
    ):
        found = compare(ours, write(tmp_path, "theirs", lines))
        assert (found.relation, found.parted) == (relation, parted)


def test_a_line_that_was_cut_short_never_was(tmp_path):
    ours = write(tmp_path, "ours", [b"a"], tail=b"b")
    assert compare(ours, write(tmp_path, "theirs", [b"a", b"b"])).relation == "ahead"
    assert compare(ours, write(tmp_path, "more", [b"a"], tail=b"c")).relation == "same"


LINES = st.lists(st.sampled_from([b"", b"a", b"b"]), max_size=6)


@given(one=LINES, other=LINES)
def test_it_is_what_lists_of_lines_would_say(tmp_path_factory, one, other):
    folder = tmp_path_factory.mktemp("ledgers")
    found = compare(write(folder, "one", one), write(folder, "other", other))
    shared = min(len(one), len(other))
    differing = [n for n in range(shared) if one[n] != other[n]]
    same = [n for n in range(shared) if one[n] == other[n]]
    assert (found.ours, found.theirs) == (len(one), len(other))
    assert found.parted == (differing[0] if differing else None)
    assert found.last_common == (same[-1] if same else -1)

"""The Merkle root is the one of RFC 6962."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fixity import merkle

LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
# the roots of the first n leaves in the reference implementation of Certificate Transparency
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size):
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


def by_definition(leaves: list[bytes]) -> bytes:
    """Compute MTH as section 2.1 defines it, by recursion."""
    if len(leaves) == 0:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = by_definition(leaves[:split]), by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_every_size_agrees_with_the_definition():
    leaves = [b"%d" % number for number in range(70)]
    for size in range(71):
        assert merkle.root(leaves[:size]) == by_definition(leaves[:size])


def tree_of(leaves: list[bytes]) -> merkle.Tree:
    tree = merkle.Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree


def power_below(size: int) -> int:
    split = 1
    while split * 2 < size:
        split *= 2
    return split


def path_by_definition(index: int, leaves: list[bytes]) -> list[bytes]:
    """Write PATH(m, D[n]) as section 2.1.1 does."""
    if len(leaves) == 1:
        return []
    split = power_below(len(leaves))
    if index < split:
        return [*path_by_definition(index, leaves[:split]), by_definition(leaves[split:])]
    return [*path_by_definition(index - split, leaves[split:]), by_definition(leaves[:split])]


def proof_by_definition(earlier: int, leaves: list[bytes], known: bool = True) -> list[bytes]:
    """Write SUBPROOF(m, D[n], b) as section 2.1.2 does."""
    if earlier == len(leaves):
        return [] if known else [by_definition(leaves)]
    split = power_below(len(leaves))
    if earlier <= split:
        rest = by_definition(leaves[split:])
        return [*proof_by_definition(earlier, leaves[:split], known), rest]
    inner = proof_by_definition(earlier - split, leaves[split:], False)
    return [*inner, by_definition(leaves[:split])]


def test_the_example_of_the_standard():
    """RFC 6962 section 2.1.3: seven leaves, its figure, and the paths that it names."""
    d = [b"%d" % number for number in range(7)]
    a, b, c, _, e, f, j = (merkle.leaf_hash(leaf) for leaf in d)

    def node(left: bytes, right: bytes) -> bytes:
        return hashlib.sha256(b"\x01" + left + right).digest()

    g, h, i = node(a, b), node(c, merkle.leaf_hash(d[3])), node(e, f)
    k, l = node(g, h), node(i, j)  # noqa: E741 - the letters of the figure
    tree = tree_of(d)
    assert tree.root() == node(k, l)
    assert tree.inclusion(0, 7) == [b, h, l]
    assert tree.inclusion(3, 7) == [c, g, l]
    assert tree.inclusion(4, 7) == [f, j, k]
    assert tree.inclusion(6, 7) == [i, k]
    assert tree.consistency(3, 7) == [c, merkle.leaf_hash(d[3]), g, l]
    assert tree.consistency(4, 7) == [l]
    assert tree.consistency(6, 7) == [i, j, k]


def test_every_proof_is_that_of_the_definition_and_holds():
    leaves = [b"%d" % number for number in range(40)]
    tree = tree_of(leaves)
    for size in range(1, 41):
        root = by_definition(leaves[:size])
        assert tree.root(size) == root
        for index in range(size):
            path = tree.inclusion(index, size)
            assert path == path_by_definition(index, leaves[:size])
            assert merkle.root_of_inclusion(leaves[index], index, size, path) == root
            proof = tree.consistency(index + 1, size)
            assert proof == proof_by_definition(index + 1, leaves[:size])
            before = by_definition(leaves[: index + 1])
            assert merkle.is_consistent(index + 1, before, size, root, proof)


@st.composite
def inclusions(draw):
    size = draw(st.integers(1, 300))
    leaves = [b"leaf %d" % number for number in range(size)]
    return leaves, draw(st.integers(0, size - 1))


def changed(draw, path: list[bytes]) -> list[bytes]:
    """Give another path: a digest more, less, doubled, or with one bit flipped."""
    kind = draw(st.sampled_from(["flip", "drop", "twice", "more", "short"]))
    at = draw(st.integers(0, max(0, len(path) - 1)))
    if kind == "more" or not path:
        return [*path[:at], draw(st.binary(min_size=32, max_size=32)), *path[at:]]
    if kind == "drop":
        return path[:at] + path[at + 1 :]
    if kind == "twice":
        return [*path[: at + 1], *path[at:]]
    if kind == "short":
        return [*path[:at], path[at][:-1], *path[at + 1 :]]
    bit = draw(st.integers(0, 255))
    flipped = (int.from_bytes(path[at]) ^ (1 << bit)).to_bytes(32)
    return [*path[:at], flipped, *path[at + 1 :]]


@settings(max_examples=300, deadline=None)
@given(inclusions(), st.data())
def test_no_other_leaf_size_index_or_path_gives_the_root(case, data):
    leaves, index = case
    size = len(leaves)
    tree = tree_of(leaves)
    root, path = tree.root(), tree.inclusion(index, size)
    assert merkle.root_of_inclusion(leaves[index], index, size, path) == root
    assert merkle.root_of_inclusion(leaves[index] + b"x", index, size, path) != root
    wrong = data.draw(st.integers(-2, size + 2).filter(lambda number: number != index))
    assert merkle.root_of_inclusion(leaves[index], wrong, size, path) != root
    assert merkle.root_of_inclusion(leaves[index], index, size, changed(data.draw, path)) != root
    # a path says nothing of the size where the last leaf's way up is as long: the root does
    other = data.draw(st.integers(index + 1, 400).filter(lambda number: number != size))
    if len(path_by_definition(index, [b""] * other)) != len(path):
        assert merkle.root_of_inclusion(leaves[index], index, other, path) is None


@settings(max_examples=300, deadline=None)
@given(inclusions(), st.data())
def test_nothing_else_is_consistent(case, data):
    leaves, index = case
    size, earlier = len(leaves), index + 1
    tree = tree_of(leaves)
    before, root, path = tree.root(earlier), tree.root(), tree.consistency(earlier, size)
    assert merkle.is_consistent(earlier, before, size, root, path)
    other = data.draw(st.binary(min_size=32, max_size=32))
    assert not merkle.is_consistent(earlier, other, size, root, path)
    assert not merkle.is_consistent(earlier, before, size, other, path)
    assert not merkle.is_consistent(earlier, before, size, root, changed(data.draw, path))
    forked = tree_of([b"another", *leaves[1:]])
    if earlier < size:
        assert not merkle.is_consistent(
            earlier, before, size, forked.root(), forked.consistency(earlier, size)
        )
    wrong = data.draw(st.integers(-1, size + 2).filter(lambda number: number != earlier))
    assert not merkle.is_consistent(wrong, before, size, root, path)


@given(st.integers(-5, 20), st.integers(-5, 20))
def test_what_is_not_in_the_tree_has_no_proof(index, size):
    tree = tree_of([b"%d" % number for number in range(9)])
    if not 0 <= index < size <= 9:
        with pytest.raises(ValueError, match="no leaf"):
            tree.inclusion(index, size)
    if not 0 < index <= size <= 9:
        with pytest.raises(ValueError, match="no tree"):
            tree.consistency(index, size)
    if not 0 <= size <= 9:
        with pytest.raises(ValueError, match="no root"):
            tree.root(size)

"""What somebody who can write to the archive may do to its ledger, and what verify says to it.

Each deed is done twice: where verify remembers what it saw, and on a copy without `.holdfast/`, as
an auditor gets it. What cannot be seen there is said at the deed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import IntegrityError
from pipeline.fixity import merkle
from pipeline.fixity.checkpoint import Checkpoint
from pipeline.model import canonical
from pipeline.model.layout import Layout
from pipeline.stages import sealing
from pipeline.stages.verify import verify
from tests.conftest import Archive
from tests.stages.conftest import Shelf

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def new_key(path: Path, comment: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
    subprocess.run(command, check=True)
    return path


def set_key(root: Path, key: Path) -> None:
    """Name the key in the settings."""
    text = (root / "config.toml").read_text()
    head, _, _ = text.partition("[signing]")
    (root / "config.toml").write_text(f'{head}[signing]\nkey = "{key}"\n')


class Signed:
    """A signed archive of two WARC files, the state it had before the second, and its key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "archive"
        self.key, self.other = new_key(folder / "key"), new_key(folder / "other")
        archive = Archive(self.root)
        archive.json("init")
        self.add(self.root, "a")
        archive.json("sign", "--key", str(self.key))
        assert archive.json("verify")["checkpoint"]["signed_by"]
        self.earlier = folder / "earlier"
        shutil.copytree(self.root, self.earlier)
        self.add(self.root, "b")
        archive.json("sign", "--key", str(self.key))
        assert archive.json("verify")["checkpoint"]["size"] == 4

    def add(self, root: Path, collection: str) -> None:
        """Seal another WARC file, without a checkpoint."""
        warc = Shelf(Layout(root), collection).begin()
        warc.add(f"http://{collection}.example/", b"<p>a page")
        warc.seal()


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return Signed(tmp_path_factory.mktemp("signed"))


class Culprit:
    """Somebody who can write to a copy of the archive."""

    def __init__(self, signed: Signed, root: Path) -> None:
        shutil.copytree(signed.root, root)
        self.signed, self.root, self.fixity = signed, root, root / "fixity"
        self.archive = Archive(root)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ledger.read_bytes().splitlines()]

    @property
    def ledger(self) -> Path:
        return self.fixity / "ledger.jsonl"

    def write(self, lines: list[dict[str, Any]]) -> None:
        """Write a ledger with a sound chain."""
        previous, data = "0" * 64, b""
        for seq, value in enumerate(lines):
            line = canonical.line({**value, "seq": seq, "previous": previous})
            previous = hashlib.sha256(line).hexdigest()
            data += line
        self.ledger.write_bytes(data)
        self.list()

    def list(self) -> None:
        """Make the manifest agree with the ledger, and remove what is in neither."""
        sealed = {o["path"]: o["sha256"] for line in self.lines for o in line["linkingObject"]}
        text = "".join(f"{digest}  {path}\n" for path, digest in sorted(sealed.items()))
        (self.fixity / "manifest-sha256.txt").write_text(text)
        for path in self.root.glob("warc/*/*"):
            if path.relative_to(self.root).as_posix() not in sealed:
                path.unlink()

    def check_in(self) -> None:
        """Write the checkpoint that belongs to the ledger."""
        lines = self.ledger.read_bytes().splitlines(keepends=True)
        origin = f"holdfast/{hashlib.sha256(lines[0]).hexdigest()}"
        state = Checkpoint(origin=origin, size=len(lines), root=merkle.root(lines))
        (self.fixity / "checkpoint").write_bytes(state.encode())

    def sign(self, key: Path) -> None:
        (self.fixity / "checkpoint.sig").unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "ledger@holdfast", "-f", key]
        subprocess.run([*command, self.fixity / "checkpoint"], check=True, capture_output=True)

    def go_back(self) -> None:
        """Put the archive in the state it was in, in every file, but for what was seen."""
        for name in ("fixity", "warc"):
            shutil.rmtree(self.root / name)
            shutil.copytree(self.signed.earlier / name, self.root / name)

    def remove(self, *names: str) -> None:
        for name in names:
            (self.fixity / name).unlink()


def edit_a_line(culprit: Culprit) -> None:
    data = culprit.ledger.read_bytes()
    culprit.ledger.write_bytes(data.replace(b'"eventType":"capture"', b'"eventType":"kapture"', 1))


def edit_and_chain_anew(culprit: Culprit) -> None:
    lines = culprit.lines
    lines[1]["eventDateTime"] = "1999-01-01T00:00:00Z"
    culprit.write(lines)


def edit_and_check_in(culprit: Culprit) -> None:
    edit_and_chain_anew(culprit)
    culprit.check_in()


def drop_the_last_line(culprit: Culprit) -> None:
    culprit.write(culprit.lines[:-1])


def drop_and_check_in(culprit: Culprit) -> None:
    drop_the_last_line(culprit)
    culprit.check_in()


def set_everything_back(culprit: Culprit) -> None:
    culprit.go_back()


def fork_with_the_key(culprit: Culprit) -> None:
    culprit.go_back()
    culprit.signed.add(culprit.root, "forked")
    culprit.check_in()
    culprit.sign(culprit.signed.key)


def sign_with_another_key(culprit: Culprit) -> None:
    culprit.sign(culprit.signed.other)


def swap_the_key(culprit: Culprit) -> None:
    sign_with_another_key(culprit)
    replace_allowed_signers(culprit)


def replace_allowed_signers(culprit: Culprit) -> None:
    public = culprit.signed.other.with_suffix(".pub").read_text()
    (culprit.fixity / "allowed_signers").write_text(f"holdfast {public}")


def remove_allowed_signers(culprit: Culprit) -> None:
    culprit.remove("allowed_signers")


def strip_the_signature(culprit: Culprit) -> None:
    culprit.remove("checkpoint.sig")


def strip_the_checkpoint(culprit: Culprit) -> None:
    culprit.remove("checkpoint.sig", "checkpoint")


def spoil_the_signature(culprit: Culprit) -> None:
    (culprit.fixity / "checkpoint.sig").write_text("-----BEGIN SSH SIGNATURE-----\nU1N\n")


def spoil_the_checkpoint(culprit: Culprit) -> None:
    (culprit.fixity / "checkpoint").write_bytes(b"\x1b[2J" * 5000)


def make_all_anew_without_a_key(culprit: Culprit) -> None:
    culprit.write([line for line in culprit.lines if line["eventType"] != "key rotation"])
    culprit.check_in()
    culprit.remove("checkpoint.sig", "allowed_signers")


def make_all_anew_with_another_key(culprit: Culprit) -> None:
    make_all_anew_without_a_key(culprit)
    archive = Archive(culprit.root)
    shutil.move(culprit.root / ".holdfast", culprit.root / ".kept")
    archive.json("sign", "--key", str(culprit.signed.other))
    shutil.rmtree(culprit.root / ".holdfast")
    shutil.move(culprit.root / ".kept", culprit.root / ".holdfast")


def put_another_key_in_force(culprit: Culprit) -> None:
    public = " ".join(culprit.signed.other.with_suffix(".pub").read_text().split()[:2])
    event = {**culprit.lines[2], "eventDetail": {"key": public, "voucher": "believe me"}}
    culprit.write([*culprit.lines, event])
    culprit.check_in()
    culprit.sign(culprit.signed.other)


def remove_the_ledger(culprit: Culprit) -> None:
    culprit.remove("ledger.jsonl")


def remove_all_that_tells(culprit: Culprit) -> None:
    for path in [*culprit.fixity.iterdir(), *culprit.root.glob("warc/*/*")]:
        path.unlink()


# deed, findings where verify remembers, and on a copy that remembers nothing; no findings there:
# the copy is as good as one that was never touched, and only a checkpoint kept elsewhere can tell
DEEDS: list[tuple[Callable[[Culprit], None], set[str], set[str]]] = [
    (edit_a_line, {"E422", "E452", "E454"}, {"E422", "E452"}),
    (edit_and_chain_anew, {"E452", "E454"}, {"E452"}),
    (edit_and_check_in, {"E454", "E457"}, {"E457"}),
    (drop_the_last_line, {"E453"}, {"E453"}),
    (drop_and_check_in, {"E453", "E457"}, {"E457"}),
    (set_everything_back, {"E453"}, set()),
    (fork_with_the_key, {"E454"}, set()),
    (sign_with_another_key, {"E458"}, {"E458"}),
    (swap_the_key, {"E450", "E458"}, {"E450", "E458"}),
    (replace_allowed_signers, {"E450"}, {"E450"}),
    (remove_allowed_signers, {"E450"}, {"E450"}),
    (strip_the_signature, {"E456"}, {"E456"}),
    (strip_the_checkpoint, {"E451"}, {"E451"}),
    (spoil_the_signature, {"E457"}, {"E457"}),
    (spoil_the_checkpoint, {"E451"}, {"E451"}),
    # three lines instead of four: to who remembers, a line is missing
    (make_all_anew_without_a_key, {"E453", "E456"}, set()),
    (make_all_anew_with_another_key, {"E454"}, set()),
    (put_another_key_in_force, {"E450", "E459"}, {"E450", "E459"}),
    (remove_the_ledger, {"E423", "E453"}, {"E423", "E453"}),
    (remove_all_that_tells, {"E453"}, set()),
]


def errors(told: dict[str, Any]) -> set[str]:
    return {each["code"] for each in told["findings"] if each["severity"] == "error"}


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed[0].__name__)
def test_what_is_done_to_the_ledger_is_told(
    signed: Signed, tmp_path: Path, deed: tuple[Callable[[Culprit], None], set[str], set[str]]
) -> None:
    act, remembering, forgetful = deed
    culprit = Culprit(signed, tmp_path / "archive")
    act(culprit)
    told = culprit.archive.json("verify", exit_code=4)
    assert errors(told) == remembering
    assert not told["ok"]

    layout = Layout(culprit.root)
    before = culprit.ledger.read_bytes() if culprit.ledger.exists() else None
    with pytest.raises(IntegrityError, match="Nothing was written"), sealing.writing(layout, NOW):
        raise AssertionError("a writer may not go on here")
    assert (culprit.ledger.read_bytes() if culprit.ledger.exists() else None) == before

    shutil.rmtree(culprit.root / ".holdfast")
    assert errors(verify(layout).as_json()) == forgetful
    # whoever kept the newest checkpoint elsewhere sees all that was done to the ledger itself
    report = verify(layout, against=signed.root / "fixity" / "checkpoint")
    assert report.exit_code == 4


def test_who_holds_the_signature_is_told_where_all_was_made_anew(
    signed: Signed, tmp_path: Path
) -> None:
    """Without memory these two cannot be seen; what verify prints is what the auditor must know."""
    culprit = Culprit(signed, tmp_path / "without")
    make_all_anew_without_a_key(culprit)
    shutil.rmtree(culprit.root / ".holdfast")
    told = culprit.archive.json("verify")["checkpoint"]
    assert told["signed_by"] is None
    assert "no authenticity" in told["notes"][0]
    culprit = Culprit(signed, tmp_path / "other")
    genuine = culprit.archive.json("verify")["checkpoint"]["signed_by"]
    make_all_anew_with_another_key(culprit)
    shutil.rmtree(culprit.root / ".holdfast")
    told = culprit.archive.json("verify")["checkpoint"]
    assert told["signed_by"] not in (None, genuine)


def test_lines_that_were_added_without_the_key_are_not_vouched_for(
    signed: Signed, tmp_path: Path
) -> None:
    culprit = Culprit(signed, tmp_path / "archive")
    signed.add(culprit.root, "added")
    told = culprit.archive.json("verify", exit_code=3)
    assert [each["code"] for each in told["findings"]] == ["W451"]
    assert told["checkpoint"]["unsigned"] == 1
    assert told["checkpoint"]["size"] == 4
    assert "not signed" in culprit.archive.run("verify").stdout
    culprit.archive.json("sign", "--key", str(signed.key))
    assert culprit.archive.json("verify")["checkpoint"]["unsigned"] == 0


def test_a_writer_without_the_key_leaves_the_signed_checkpoint(
    signed: Signed, tmp_path: Path
) -> None:
    culprit = Culprit(signed, tmp_path / "archive")
    signed.add(culprit.root, "added")
    before = (culprit.fixity / "checkpoint").read_bytes()
    culprit.archive.json("extract")
    assert (culprit.fixity / "checkpoint").read_bytes() == before
    set_key(culprit.root, signed.key)
    culprit.archive.json("extract")
    told = culprit.archive.json("verify")
    lines = (culprit.fixity / "ledger.jsonl").read_bytes().count(b"\n")
    assert (told["checkpoint"]["size"], told["checkpoint"]["unsigned"]) == (lines, 0)


@pytest.mark.parametrize("deed", [strip_the_signature, strip_the_checkpoint, swap_the_key])
def test_the_operator_may_sign_again_after_looking(
    signed: Signed, tmp_path: Path, deed: Callable[[Culprit], None]
) -> None:
    culprit = Culprit(signed, tmp_path / "archive")
    deed(culprit)
    culprit.archive.json("sign", "--key", str(signed.key))
    assert culprit.archive.json("verify")["ok"]


@pytest.mark.parametrize("deed", [edit_and_check_in, set_everything_back, fork_with_the_key])
def test_no_signature_is_given_to_a_ledger_that_was_changed(
    signed: Signed, tmp_path: Path, deed: Callable[[Culprit], None]
) -> None:
    culprit = Culprit(signed, tmp_path / "archive")
    deed(culprit)
    before = (culprit.fixity / "checkpoint.sig").read_bytes()
    assert culprit.archive.json("sign", "--key", str(signed.key), exit_code=4)["error"]
    assert (culprit.fixity / "checkpoint.sig").read_bytes() == before


def test_a_ledger_is_held_against_a_checkpoint_kept_elsewhere(
    signed: Signed, tmp_path: Path
) -> None:
    archive = Archive(signed.root)
    kept = tmp_path / "kept"
    shutil.copy(signed.earlier / "fixity" / "checkpoint", kept)
    assert archive.json("verify", "--against", str(kept))["ok"]
    shutil.copy(signed.earlier / "fixity" / "checkpoint.sig", tmp_path / "kept.sig")
    assert archive.json("verify", "--against", str(kept))["ok"]
    # the other way round: a newer checkpoint than the archive has
    earlier = Archive(tmp_path / "earlier")
    shutil.copytree(signed.earlier, earlier.root)
    newest = signed.root / "fixity" / "checkpoint"
    told = earlier.json("verify", "--against", str(newest), exit_code=4)
    assert errors(told) == {"E453"}

    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "ledger@holdfast", "-f", signed.other]
    (tmp_path / "kept.sig").unlink()
    subprocess.run([*command, kept], check=True, capture_output=True)
    assert errors(archive.json("verify", "--against", str(kept), exit_code=4)) == {"E458"}
    shutil.copy(signed.root / "fixity" / "checkpoint.sig", tmp_path / "kept.sig")
    assert errors(archive.json("verify", "--against", str(kept), exit_code=4)) == {"E457"}

    foreign = Archive(tmp_path / "foreign")
    foreign.json("init")
    other = foreign.root / "fixity" / "checkpoint"
    assert errors(archive.json("verify", "--against", str(other), exit_code=4)) == {"E455"}
    for text in (b"", b"holdfast/x\n1\nAAAA\n", kept.read_bytes() + b"\n", b"x" * 100_000):
        kept.write_bytes(text)
        told = archive.json("verify", "--against", str(kept), exit_code=2)
        assert "no checkpoint" in told["error"]
    archive.json("verify", "--against", str(tmp_path / "none"), exit_code=2)


def test_the_old_key_vouches_for_the_new_one(signed: Signed, tmp_path: Path) -> None:
    culprit = Culprit(signed, tmp_path / "archive")
    archive, new = culprit.archive, new_key(tmp_path / "new")
    old_signature = (culprit.fixity / "checkpoint.sig").read_bytes()
    refused = archive.run("sign", "--key", str(new))
    assert refused.returncode == 2
    assert "leave the old one" in refused.stderr
    set_key(culprit.root, signed.key)
    told = archive.json("sign", "--key", str(new))
    assert told["previous"]
    archive.run("verify")
    told_now = archive.json("verify")
    assert told_now["checkpoint"]["signed_by"] == told["checkpoint"]["signed_by"]
    assert told_now["checkpoint"]["size"] == 5
    # the settings still name the old key
    assert archive.run("extract").returncode == 2
    set_key(culprit.root, new)
    archive.json("extract")
    # what anybody can check without us; the old key counts until the new one did
    verify_outside = ["ssh-keygen", "-Y", "verify", "-I", "holdfast", "-n", "ledger@holdfast"]
    verify_outside += ["-f", culprit.fixity / "allowed_signers"]
    with (culprit.fixity / "checkpoint").open("rb") as text:
        command = [*verify_outside, "-s", culprit.fixity / "checkpoint.sig"]
        subprocess.run(command, stdin=text, check=True)
    # a checkpoint of before, kept elsewhere with its signature, is still good
    kept = tmp_path / "kept"
    shutil.copy(signed.root / "fixity" / "checkpoint", kept)
    (tmp_path / "kept.sig").write_bytes(old_signature)
    assert archive.json("verify", "--against", str(kept))["ok"]
    # the old key signs nothing any more
    culprit.sign(signed.key)
    assert errors(archive.json("verify", exit_code=4)) == {"E459"}


def test_verify_says_where_it_cannot_remember(signed: Signed, tmp_path: Path) -> None:
    culprit = Culprit(signed, tmp_path / "archive")
    seen = culprit.root / ".holdfast" / "checkpoint.json"
    seen.unlink()
    seen.mkdir()
    told = culprit.archive.json("verify")
    assert told["ok"]
    assert "could not be remembered" in told["checkpoint"]["notes"][0]


def test_what_is_remembered_may_be_nonsense(signed: Signed, tmp_path: Path) -> None:
    culprit = Culprit(signed, tmp_path / "archive")
    seen = culprit.root / ".holdfast" / "checkpoint.json"
    for nonsense in (b"", b"{}", b"[" * 5000, b'{"origin":"x","root":"y","signed_by":1,"size":-1}'):
        seen.write_bytes(nonsense)
        assert culprit.archive.json("verify")["ok"]
        assert json.loads(seen.read_bytes())["size"] == 4


def test_without_ssh_keygen_the_signature_is_not_checked(signed: Signed, tmp_path: Path) -> None:
    culprit = Culprit(signed, tmp_path / "archive")
    bare = {**os.environ, "PATH": str(tmp_path)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = culprit.archive.command("--json", *words)
        return subprocess.run(command, capture_output=True, text=True, env=bare, check=False)

    done = run("verify")
    told = json.loads(done.stdout)
    assert done.returncode == 3
    assert {each["code"] for each in told["findings"]} == {"W452"}
    assert told["checkpoint"]["signed_by"] is None
    assert run("sign", "--key", str(signed.key)).returncode == 2
    assert "openssh-client" in run("sign", "--key", str(signed.key)).stderr


def test_a_key_that_others_could_have_is_refused(signed: Signed, tmp_path: Path) -> None:
    culprit = Culprit(signed, tmp_path / "archive")
    before = (culprit.fixity / "checkpoint.sig").read_bytes()

    def refused(path: Path) -> str:
        done = culprit.archive.run("sign", "--key", str(path))
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        return done.stderr

    key = new_key(tmp_path / "key")
    for mode in (0o640, 0o604, 0o660):
        key.chmod(mode)
        assert f"chmod 600 {key}" in refused(key)
    key.chmod(0o600)
    inside = culprit.root / "key"
    shutil.copy(key, inside)
    assert "inside the archive" in refused(inside)
    outside = tmp_path / "link"
    outside.symlink_to(inside)
    assert "inside the archive" in refused(outside)
    nothing = tmp_path / "nothing"
    assert "could not be read" in refused(nothing)
    nothing.write_text("no key")
    assert "ssh-keygen -t ed25519" in refused(nothing)
    assert "could not be read" in refused(tmp_path)
    assert (culprit.fixity / "checkpoint.sig").read_bytes() == before


def test_keys_in_an_agent_sign_by_their_public_half(signed: Signed, tmp_path: Path) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        while not socket.exists():
            assert agent.poll() is None
        subprocess.run(["ssh-add", "-q", signed.key], env=environment, check=True)
        culprit = Culprit(signed, tmp_path / "archive")
        signed.add(culprit.root, "more")
        command = culprit.archive.command("--json", "sign", "--key", f"{signed.key}.pub")
        subprocess.run(command, env=environment, check=True, capture_output=True)
        assert culprit.archive.json("verify")["checkpoint"]["size"] == 5
    finally:
        agent.terminate()
        agent.wait()


def test_a_key_with_a_passphrase_and_nobody_to_type_it_is_an_error_in_words(
    signed: Signed, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked]
    subprocess.run(command, check=True)
    archive = Archive(tmp_path / "archive")
    archive.json("init")
    process = archive.start("sign", "--key", str(locked))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "could not sign" in said
    assert "holdfast sign" in said
    # the event that names the key is there, and no signature: nothing is called damaged
    told = archive.json("verify", exit_code=3)
    assert {each["code"] for each in told["findings"]} == {"W451"}


def test_an_archive_that_is_not_signed_says_so(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    archive.json("init")
    told = archive.json("verify", exit_code=3)["checkpoint"]
    assert told["signed_by"] is None
    assert told["notes"] == ["integrity only, no authenticity: the archive is not signed"]
    no_key = archive.run("sign")
    assert no_key.returncode == 2
    assert "ssh-keygen -t ed25519" in no_key.stderr

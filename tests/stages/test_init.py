"""The verb `init`: a new archive that is sound from its first moment."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from pipeline import config
from pipeline.crawl.rules.scope import ScopeTable
from pipeline.crawl.rules.seeds import load_collections, parse
from pipeline.errors import ConfigError
from pipeline.model.layout import Layout
from pipeline.model.policy import CrawlOverrides, LinkPolicy, RunLimits
from pipeline.stages.init import CONFIG_TOML, EXAMPLE_TOML, init


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_it_makes_an_archive_whose_settings_and_example_are_sound(tmp_path: Path) -> None:
    root = tmp_path / "new" / "archive"
    report = init(root)
    assert set(files(root)) == {
        "config.toml",
        "seeds/example.toml",
        "fixity/ledger.jsonl",
        "fixity/manifest-sha256.txt",
        "fixity/checkpoint",
        ".holdfast/checkpoint.json",
        ".holdfast/lock",
    }
    assert (root / "warc").is_dir()
    assert (root / "extracted").is_dir()
    config.load(root, {})
    assert [collection.name for collection in load_collections(root / "seeds")] == ["example"]
    assert report.made == (
        "config.toml",
        "warc/",
        "extracted/",
        "seeds/",
        "seeds/example.toml",
        "fixity/ledger.jsonl",
        "fixity/manifest-sha256.txt",
        "fixity/checkpoint",
    )


def test_the_ledger_begins_with_the_creation(tmp_path: Path) -> None:
    init(tmp_path)
    (line,) = Layout(tmp_path).ledger.read_text().splitlines()
    event = json.loads(line)
    assert (event["seq"], event["eventType"], event["linkingObject"]) == (0, "creation", [])
    assert Layout(tmp_path).manifest.read_bytes() == b""


def test_it_tells_what_it_made_and_what_comes_next(tmp_path: Path) -> None:
    report = init(tmp_path)
    assert report.exit_code == 0
    assert report.as_json() == {"archive": str(tmp_path), "made": list(report.made)}
    text = report.as_text()
    assert text.startswith(f"A new archive in {tmp_path}:\n  config.toml\n")
    assert f"holdfast -C {tmp_path} seeds check" in text


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "mine.txt").write_text("http://example.org/\n")
    (tmp_path / "README").write_text("mine")
    report = init(tmp_path)
    assert files(tmp_path)["README"] == b"mine"
    assert "seeds/example.toml" not in files(tmp_path)
    assert "seeds/" not in report.made


def test_an_archive_is_not_made_anew(tmp_path: Path) -> None:
    init(tmp_path)
    before = files(tmp_path)
    with pytest.raises(ConfigError) as raised:
        init(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path}: is an archive already (it has a config.toml); nothing changed"
    )
    assert files(tmp_path) == before


def test_an_init_that_was_cut_short_can_be_repeated(tmp_path: Path) -> None:
    """Without its config.toml, which comes last, the folder counts as no archive yet."""
    init(tmp_path)
    before = files(tmp_path)
    (tmp_path / "config.toml").unlink()
    assert init(tmp_path).made == ("config.toml",)
    assert files(tmp_path) == before


def test_a_place_that_can_be_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", tmp_path / "file" / "archive"):
        with pytest.raises(ConfigError, match="could not be made a folder"):
            init(root)


@pytest.mark.parametrize("template", [CONFIG_TOML, EXAMPLE_TOML])
def test_the_templates_have_no_line_too_long_to_read(template: str) -> None:
    assert max(map(len, template.splitlines())) <= 100


def test_the_example_shows_every_key_and_all_of_it_is_sound() -> None:
    """What the example has in comments can be used by taking the # away."""
    uncommented = re.sub(r"^# (\w+ = )", r"\1", EXAMPLE_TOML, flags=re.MULTILINE)
    collection = parse(Path("seeds/example.toml"), uncommented.encode())
    assert collection.secrets == "secrets/example.toml"
    assert collection.scope.max_hops == 3
    assert collection.limits.max_captures == 100_000
    written = tomllib.loads(uncommented)
    for table, shape in {"scope": ScopeTable, "links": LinkPolicy, "limits": RunLimits}.items():
        assert list(written[table]) == [field.name for field in msgspec.structs.fields(shape)]
    assert written["links"] == msgspec.structs.asdict(LinkPolicy())
    for key in (field.name for field in msgspec.structs.fields(CrawlOverrides)):
        assert re.search(rf"\b{key}\b", EXAMPLE_TOML), key

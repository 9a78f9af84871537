"""The command from outside: exit codes, what is printed where, and what bad input is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def filled(archive: Any, site: Any) -> Any:
    """An archive in which `holdfast run` has been run once."""
    site.add("/", '<title>Home</title><a href="two.html">two</a><a href="/gone">x</a>')
    site.add("/two.html", "<html><body><h1>Two</h1><p>Some words to keep for long.</body></html>")
    archive.collection("c", f"{site.address}/\n")
    archive.report = archive.json("run")
    archive.address = site.address
    return archive


def test_run_crawls_extracts_and_verifies(filled: Any) -> None:
    told = filled.report
    assert (told["captures"] + told["revisits"], told["failed"]) == (5, 0)
    assert told["extract"]["documents"] == 2
    assert told["verify"]["ok"] and told["verify"]["level"] == "records"
    filled.assert_sound()


def test_a_second_run_verifies_what_it_wrote_and_says_what_it_did_not_read(filled: Any) -> None:
    before = filled.json("verify")["checked"]["files"]
    told = filled.json("run")["verify"]
    assert told["ok"] and told["not_checked"]["earlier"] == before
    assert filled.json("verify")["checked"]["files"] == before + told["checked"]["files"]


def test_show_gives_the_text_of_a_url_with_and_without_a_time(filled: Any) -> None:
    url = f"{filled.address}/two.html"
    assert "Some words to keep for long." in filled.run("show", url).stdout
    told = filled.run("show", "--text", f"{url}@2001").stdout
    assert " ".join(told.split()) == "Two Some words to keep for long."
    told = filled.json("show", url)
    assert told["document"]["url"] == url and len(told["captures"]) == 1


def test_show_of_an_unknown_url_exits_3_and_says_what_to_do(filled: Any) -> None:
    done = filled.run("show", "http://nowhere.example/")
    assert done.returncode == 3 and "seeds check" in done.stdout


def test_show_of_no_url_is_a_usage_error(filled: Any) -> None:
    done = filled.run("show", "mailto:x@example.org")
    assert done.returncode == 2 and "http or https" in done.stderr


def test_status_counts_what_is_sealed_and_says_what_to_do_next(filled: Any) -> None:
    told = filled.json("status")
    (collection,) = told["collections"]
    # the second file holds the crawl log, of which no documents are made
    assert (collection["warcs"], collection["document_files"], collection["runs"]) == (2, 1, 1)
    assert not told["writing"] and told["next"] == ["holdfast verify --level records"]
    assert "finished runs" in filled.run("status").stdout


def test_a_flipped_bit_is_found_and_named_and_exits_4(filled: Any) -> None:
    (warc,) = filled.root.glob("warc/*/*-w0.warc.gz")
    data = bytearray(warc.read_bytes())
    data[len(data) // 2] ^= 1
    warc.write_bytes(data)
    told = filled.json("verify", exit_code=4)
    assert not told["ok"]
    assert any(each["path"].endswith(".warc.gz") for each in told["findings"])
    assert filled.run("verify", "--level", "records").returncode == 4


def test_verify_of_an_archive_with_nothing_in_it_exits_3(archive: Any) -> None:
    told = archive.json("verify", exit_code=3)
    assert told["checked"]["files"] == 0


@pytest.mark.parametrize(
    "verb", [["crawl"], ["extract"], ["run"], ["verify"], ["status"], ["show", "http://a/"]]
)
def test_a_folder_that_is_no_archive_exits_10_and_names_init(
    tmp_path: Path, archive: Any, verb: list[str]
) -> None:
    archive.root = tmp_path
    done = archive.run(*verb)
    assert done.returncode == 10 and "holdfast init" in done.stderr and done.stdout == ""


def test_a_collection_without_a_seed_file_exits_2(archive: Any) -> None:
    done = archive.run("crawl", "nothing")
    assert done.returncode == 2 and "nothing" in done.stderr


def test_a_wrong_setting_exits_2_with_file_line_and_key(archive: Any) -> None:
    (archive.root / "config.toml").write_text("[crawl]\ndelay_s = 1\ndelya = 2\n")
    done = archive.run("crawl")
    assert done.returncode == 2
    assert "config.toml: line 3: crawl.delya" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [["fly"], ["verify", "--level", "high"], ["crawl", "--workers", "x"]]
)
def test_a_wrong_word_on_the_command_line_exits_2(archive: Any, words: list[str]) -> None:
    assert archive.run(*words).returncode == 2


def test_a_damaged_ledger_stops_every_writer_with_exit_4(filled: Any) -> None:
    ledger = filled.root / "fixity" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"seq":1', b'"seq":7', 1))
    before = ledger.read_bytes()
    for verb in ("crawl", "extract"):
        done = filled.run(verb)
        assert done.returncode == 4 and "Nothing was written" in done.stderr
    assert ledger.read_bytes() == before


def test_a_ledger_that_is_gone_is_not_begun_anew(filled: Any) -> None:
    (filled.root / "fixity" / "ledger.jsonl").unlink()
    done = filled.run("crawl")
    assert done.returncode == 4 and "ledger.jsonl" in done.stderr


def test_a_manifest_that_a_crash_left_behind_is_completed_by_the_next_writer(filled: Any) -> None:
    manifest = filled.root / "fixity" / "manifest-sha256.txt"
    whole = manifest.read_bytes()
    manifest.write_bytes(b"".join(whole.splitlines(keepends=True)[1:]))
    (finding,) = filled.json("verify")["findings"]
    assert finding["code"] == "W413"
    assert filled.run("extract").returncode == 0
    assert manifest.read_bytes() == whole


def test_control_characters_of_a_page_do_not_reach_the_terminal(archive: Any, site: Any) -> None:
    site.add("/", "<title>a\x1b]0;owned\x07</title><p>text \x1b[31mred\x9b31m \u202egnp")
    archive.collection("c", f"{site.address}/\n")
    archive.json("run")
    shown = archive.run("show", f"{site.address}/").stdout
    assert not set(shown) & set("\x1b\x07\x9b\u202e")


def test_help_and_verify_load_no_library_they_do_not_need() -> None:
    code = (
        "import sys, pipeline.cli, pipeline.stages.verify;"
        "print([m for m in ('requests', 'lxml', 'trafilatura', 'rich', 'bs4') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_json_is_one_object_on_standard_output_and_the_story_is_elsewhere(filled: Any) -> None:
    done = filled.run("--json", "status")
    assert isinstance(json.loads(done.stdout), dict) and done.stdout.count("\n") == 1


def test_output_that_nobody_reads_keeps_the_exit_code_and_says_nothing(filled: Any) -> None:
    (warc,) = filled.root.glob("warc/*/*-w0.warc.gz")
    for expected in (0, 4):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            filled.command("verify"), stdout=write, stderr=subprocess.PIPE, check=False
        )
        os.close(write)
        assert (done.returncode, done.stderr) == (expected, b"")
        warc.write_bytes(warc.read_bytes()[:-1])


def test_errors_that_nobody_reads_keep_their_exit_code(archive: Any) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(archive.command("crawl", "nothing"), stderr=write, check=False)
    os.close(write)
    assert done.returncode == 2


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_any_text_can_be_printed_in_any_encoding(
    archive: Any, site: Any, monkeypatch: Any, encoding: str
) -> None:
    words = "caf\u00e9 \u4e2d\u6587 \U0001f41f"
    site.add("/", f"<meta charset=utf-8><title>{words}</title><p>{words} and some more words")
    archive.collection("c", f"{site.address}/\n")
    archive.json("run")
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    for words_ in (["show", f"{site.address}/"], ["show", "--text", f"{site.address}/"]):
        done = subprocess.run(archive.command(*words_), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"and some more words" in done.stdout
    done = subprocess.run(
        archive.command("--json", "show", f"{site.address}/"), capture_output=True, check=True
    )
    assert words in json.loads(done.stdout)["document"]["text"]


def test_errors_do_not_carry_controls_to_the_terminal(archive: Any) -> None:
    done = archive.run("show", "mailto:\x1b]0;owned\x07\u202egnp")
    assert done.returncode == 2 and not set(done.stderr) & set("\x1b\x07\u202e")


def test_show_of_a_time_that_is_none_is_a_usage_error(filled: Any) -> None:
    done = filled.run("show", f"{filled.address}/two.html@202413")
    assert done.returncode == 2 and "YYYY" in done.stderr


@pytest.mark.parametrize("stderr", ["2>&-", "2> >(exec true)"])
def test_an_interruption_needs_no_standard_error(archive: Any, site: Any, stderr: str) -> None:
    site.link_chain(50, delay_s=0.05)
    archive.collection("c", f"{site.address}/\n")
    verb = archive.command("crawl", "--workers", "1")
    crawl = subprocess.Popen(
        ["bash", "-c", f'exec "$@" {stderr}', "-", *verb],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    while len(site.asked()) < 3 and crawl.poll() is None:
        time.sleep(0.02)
    crawl.send_signal(signal.SIGINT)
    crawl.communicate(timeout=60)
    assert crawl.returncode == 130
    assert archive.run("crawl").returncode == 0
    archive.assert_sound()


def test_an_error_is_an_object_too_when_json_was_asked_for(archive: Any) -> None:
    done = archive.run("--json", "crawl", "nothing")
    told = json.loads(done.stdout)
    assert told["exit_code"] == done.returncode == 2 and "nothing" in told["error"]


@pytest.mark.parametrize("delay", ["nan", "-1", "inf", "soon"])
def test_a_delay_must_be_a_number_of_seconds(archive: Any, delay: str) -> None:
    assert archive.run("crawl", "--delay", delay).returncode == 2


def test_show_tells_why_a_url_has_no_capture(archive: Any, site: Any) -> None:
    site.add("/robots.txt", "User-agent: *\nDisallow: /x\n", media_type="text/plain")
    site.add("/", '<a href="/x">x</a>')
    archive.collection("c", f"{site.address}/\n")
    archive.json("run")
    done = archive.run("show", f"{site.address}/x")
    assert done.returncode == 3 and "refused: robots: disallowed by robots.txt" in done.stdout
    (told,) = archive.json("show", f"{site.address}/x", exit_code=3)["absences"]
    assert (told["outcome"], told["reason"]) == ("refused", "robots")
    assert archive.json("show", f"{site.address}/")["absences"] == []


def test_status_of_an_archive_without_seeds_says_where_to_begin(archive: Any) -> None:
    assert "seed file" in archive.json("status")["next"][0]

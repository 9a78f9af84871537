"""What a crawl costs: `holdfast crawl` beside `wget -r --warc-file`, same server, same pages.

Prints as a Markdown table: CPU per captured URL (user and system time of the whole process tree,
start-up included), wall time, and bytes per URL. Each figure is the median of several repetitions,
run in turns so that a busy machine is unfair to both alike.

Usage: python benchmarks/crawl.py [TURNS]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import bed
from pipeline.archive.reader import Record, bare_uri, walk

HOLDFAST = Path(sys.executable).with_name("holdfast")
TURNS = 5
MANY_HOSTS = 22


@dataclass(frozen=True)
class Cost:
    """One crawl, measured.

    Attributes:
        pairs: compressed bytes of the request and response members of each URL.
        file_bytes: bytes of the WARC files.

    """

    cpu_s: float
    wall_s: float
    pairs: Counter[str]
    file_bytes: int

    @property
    def urls(self) -> int:
        """Give the number of URLs captured."""
        return len(self.pairs)

    @property
    def other_bytes(self) -> int:
        """Give the bytes of all members that are no request and no response."""
        return self.file_bytes - self.pairs.total()


def main() -> None:
    """Run both beds and print the tables."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else TURNS
    one = [bed.POSTGRESQL]
    languages = bed.handbooks()[: MANY_HOSTS - 2]
    many = [bed.POSTGRESQL, bed.POSTGRESQL, *languages]
    lacking = bed.missing(many, ["wget"])
    if lacking or len(languages) < MANY_HOSTS - 2:
        sys.exit(f"The test bed is not complete: {lacking or 'fewer handbooks than expected'}")
    print(f"{_version('wget')}, medians of {turns} turns\n")
    for title, trees in (("one host", one), (f"{len(many)} hosts", many)):
        print(_table(title, compare(trees, turns)), flush=True)


def compare(trees: Sequence[bed.Tree], turns: int) -> dict[str, list[Cost]]:
    """Crawl `trees` with both programs in turns."""
    costs: dict[str, list[Cost]] = {"holdfast": [], "wget": []}
    with tempfile.TemporaryDirectory() as place, bed.serve(trees, Path(place)) as server:
        for _ in range(turns):
            for name, crawl in (("holdfast", _holdfast), ("wget", _wget)):
                folder = Path(place) / "crawl"
                folder.mkdir()
                costs[name].append(crawl(server.urls, folder))
                shutil.rmtree(folder)
    return costs


def _holdfast(urls: Sequence[str], folder: Path) -> Cost:
    subprocess.run([HOLDFAST, "-q", "init", folder], check=True, stdout=subprocess.DEVNULL)
    for example in (folder / "seeds").iterdir():
        example.unlink()
    (folder / "seeds" / "bench.txt").write_text("\n".join(urls), "utf-8")
    command = [HOLDFAST, "-q", "-C", folder, "crawl", "--delay", "0"]
    return _measured(command, folder, lambda: sorted(folder.glob("warc/*/*.warc.gz")), (0,))


def _wget(urls: Sequence[str], folder: Path) -> Cost:
    # wget keeps the pages as files, too, since it reads links from them; it deletes each when read
    command: list[str | Path] = ["wget", "--no-config", "--quiet", "--recursive", "--level=inf"]
    command += ["--no-parent", "--delete-after", f"--warc-file={folder / 'bench'}"]
    command += [f"--directory-prefix={folder / 'pages'}", *urls]
    # 8: the server answered some request with an error, here a broken link
    return _measured(command, folder, lambda: [folder / "bench.warc.gz"], (0, 8))


def _measured(
    command: Sequence[str | Path],
    folder: Path,
    warcs: Callable[[], Sequence[Path]],
    accepted: Sequence[int],
) -> Cost:
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - begun
    # Popen must not wait for it a second time
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in accepted:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    files = warcs()
    pairs: Counter[str] = Counter()
    for member in (member for file in files for member in walk(file)):
        if isinstance(member, Record) and member.get("warc-type") in ("request", "response"):
            # wget 1.21 puts the target between angle brackets, as WARC 1.0's grammar had it
            pairs[str(bare_uri(member.get("warc-target-uri")))] += member.length
    return Cost(
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=wall_s,
        pairs=pairs,
        file_bytes=sum(file.stat().st_size for file in files),
    )


def _table(title: str, costs: dict[str, list[Cost]]) -> str:
    # each finds some URLs that the other does not look for; sizes are compared on what both have
    both = set.intersection(*(set(cost.pairs) for turns in costs.values() for cost in turns))

    def pair_size(cost: Cost) -> float:
        return sum(cost.pairs[url] for url in both) / len(both)

    figures: list[tuple[str, Callable[[Cost], float], str]] = [
        ("URLs captured", lambda cost: cost.urls, ",.0f"),
        ("CPU ms per URL", lambda cost: 1000 * cost.cpu_s / cost.urls, ".3f"),
        ("wall s", lambda cost: cost.wall_s, ".2f"),
        ("request + response, bytes per URL", pair_size, ",.0f"),
        ("whole file, bytes per URL", lambda c: pair_size(c) + c.other_bytes / c.urls, ",.0f"),
    ]
    lines = [f"| {title} | holdfast | wget | ratio |", "|---|---|---|---|"]
    for name, figure, form in figures:
        ours, theirs = (median(figure(cost) for cost in costs[who]) for who in ("holdfast", "wget"))
        lines.append(f"| {name} | {ours:{form}} | {theirs:{form}} | {ours / theirs:.3f} |")
    return "\n".join([*lines, ""])


def _version(program: str) -> str:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return " ".join(shown.stdout.split()[:3])


if __name__ == "__main__":
    main()

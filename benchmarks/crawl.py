"""What a crawl costs: `holdfast crawl` beside `wget -r --warc-file` and Scrapy, on the same pages.

Prints as a Markdown table: CPU per captured URL (user and system time of the whole process tree,
start-up included), URLs per second of wall time, and bytes per URL. Each figure is the median of
several repetitions, run in turns so that a busy machine is unfair to all alike.

Scrapy and its WARC exporter (scrapy_warc.py) are no part of this project: they are installed on
demand into an environment of their own under build/; where that fails, the column says so.

Usage: python benchmarks/crawl.py [TURNS]     with NO_SCRAPY=1 in the environment: wget alone
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import bed
from pipeline.archive.reader import Record, bare_uri, walk

HOLDFAST = Path(sys.executable).with_name("holdfast")
TURNS = 5
MANY_HOSTS = 22
HERE = Path(__file__).parent
SCRAPY = HERE.parent / "build" / "scrapy"
SCRAPY_PACKAGES = ["scrapy==2.19.*", "warcio==1.8.*"]

# the goals of a ratio to wget, by number of hosts and figure
GOALS = {
    (1, "CPU ms per URL"): "≤ 0.8",
    (MANY_HOSTS, "CPU ms per URL"): "≤ 0.6",
    (MANY_HOSTS, "URLs per second"): "≥ 3",
    (1, "request + response, bytes per URL"): "≤ 1.02",
    (MANY_HOSTS, "request + response, bytes per URL"): "≤ 1.02",
    (1, "whole file, bytes per URL"): "≤ 1.10",
    (MANY_HOSTS, "whole file, bytes per URL"): "≤ 1.10",
}

Crawl = Callable[[Sequence[str], Path], "Cost"]


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
    peers: dict[str, Crawl] = {"holdfast": _holdfast, "wget": _wget}
    if not os.environ.get("NO_SCRAPY") and _has_scrapy():
        peers["scrapy"] = _scrapy
    print(f"{_version('wget')}, Scrapy 2.19, medians of {turns} turns\n")
    for title, trees in (("one host", one), (f"{len(many)} hosts", many)):
        print(_table(title, len(trees), compare(trees, turns, peers)), flush=True)


def compare(
    trees: Sequence[bed.Tree], turns: int, peers: Mapping[str, Crawl]
) -> dict[str, list[Cost]]:
    """Crawl `trees` with each program in turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in peers}
    with tempfile.TemporaryDirectory() as place, bed.serve(trees, Path(place)) as server:
        for _ in range(turns):
            for name, crawl in peers.items():
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


def _has_scrapy() -> bool:
    """Install Scrapy where it is not yet; tell whether it is there."""
    done = SCRAPY / "installed"
    if done.exists():
        return True
    try:
        venv.create(SCRAPY, with_pip=True, clear=True)
        pip = [SCRAPY / "bin" / "python", "-m", "pip", "--quiet", "install", *SCRAPY_PACKAGES]
        subprocess.run(pip, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"Scrapy could not be installed: {error}", file=sys.stderr)
        return False
    done.touch()
    return True


def _scrapy(urls: Sequence[str], folder: Path) -> Cost:
    warc = folder / "bench.warc.gz"
    command = [SCRAPY / "bin" / "python", HERE / "scrapy_warc.py", warc, *urls]
    return _measured(command, folder, lambda: [warc], (0,))


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


def _table(title: str, hosts: int, costs: dict[str, list[Cost]]) -> str:
    # each finds some URLs that the others do not look for; sizes are compared on what all have
    both = set.intersection(*(set(cost.pairs) for turns in costs.values() for cost in turns))

    def pair_size(cost: Cost) -> float:
        return sum(cost.pairs[url] for url in both) / len(both)

    figures: list[tuple[str, Callable[[Cost], float], str]] = [
        ("URLs captured", lambda cost: cost.urls, ",.0f"),
        ("CPU ms per URL", lambda cost: 1000 * cost.cpu_s / cost.urls, ".3f"),
        ("URLs per second", lambda cost: cost.urls / cost.wall_s, ",.0f"),
        ("wall s", lambda cost: cost.wall_s, ".2f"),
        ("request + response, bytes per URL", pair_size, ",.0f"),
        ("whole file, bytes per URL", lambda c: pair_size(c) + c.other_bytes / c.urls, ",.0f"),
    ]
    lines = [
        f"| {title} | holdfast | wget | holdfast / wget | goal | scrapy | holdfast / scrapy |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, figure, form in figures:
        middle = {who: median(map(figure, turns)) for who, turns in costs.items()}
        ours, wget, scrapy = middle["holdfast"], middle["wget"], middle.get("scrapy")
        goal = GOALS.get((hosts, name), "")
        peer = f"{scrapy:{form}} | {ours / scrapy:.3f}" if scrapy else "not installed |"
        beside = f"{ours:{form}} | {wget:{form}} | {ours / wget:.3f} | {goal}"
        lines.append(f"| {name} | {beside} | {peer} |")
    return "\n".join([*lines, ""])


def _version(program: str) -> str:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return " ".join(shown.stdout.split()[:3])


if __name__ == "__main__":
    main()

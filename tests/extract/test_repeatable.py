"""The same capture gives the same bytes, whatever the machine's clock, locale and hash seed say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent

_CHILD = """
import sys, datetime, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import make_cases
from pipeline.extract.extractor import extract
from pipeline.extract.policy import ExtractPolicy
from pipeline.model import canonical

if len(sys.argv) > 2:
    real, year = datetime.datetime, int(sys.argv[2])
    class Elsewhen(real):
        @classmethod
        def now(cls, tz=None):
            return real(year, 6, 15, tzinfo=tz)
        utcnow = today = now
    then = real(year, 6, 15).timestamp()
    time.time = lambda: then
    for name, module in list(sys.modules.items()):
        if getattr(module, "datetime", None) is real and name != "datetime":
            module.datetime = Elsewhen
    datetime.datetime = Elsewhen

folders = sorted(path.parent for path in make_cases.CASES.glob("*/page.bin"))
if len(sys.argv) > 2:
    folders.reverse()
lines = {}
for folder in folders:
    made = extract(make_cases.read_source(folder), ExtractPolicy())
    lines[folder.name] = canonical.line(made.as_json())
sys.stdout.buffer.write(b"".join(lines[name] for name in sorted(lines)))
"""

_IMPURE = """
import sys
sys.path.insert(0, sys.argv[1])
import make_cases
from pipeline.extract.extractor import extract
from pipeline.extract.policy import ExtractPolicy

sources = [make_cases.read_source(path.parent) for path in make_cases.CASES.glob("*/page.bin")]
for source in sources:
    extract(source, ExtractPolicy())

seen = []
watched = ("open", "socket.", "subprocess.", "os.", "sqlite3.", "urllib.", "ctypes.", "tempfile.")
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith(watched) else None)
for source in sources:
    extract(source, ExtractPolicy())
print(sorted(set(seen)))
"""


def _run(code: str, *arguments: str, **environment: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", code, str(_HERE), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_clock_locale_order_and_hash_seed_do_not_show() -> None:
    one = _run(_CHILD, PYTHONHASHSEED="0", TZ="UTC", LC_ALL="C")
    other = _run(_CHILD, "2003", PYTHONHASHSEED="12345", TZ="Pacific/Kiritimati", LC_ALL="C.UTF-8")

    assert one.count(b"\n") > 20
    assert one == other


def test_extraction_touches_no_file_no_socket_and_no_process() -> None:
    assert _run(_IMPURE).strip() == b"[]"

"""The house rules: who may import whom, how large a module may grow, and what is kept true."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import pytest

import pipeline

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ROOT / "pipeline"

# from the top down; a module imports only from floors below its own, or from its own room
FLOORS = (
    {"cli", "display"},
    {"stages"},
    {"config"},
    {"crawl", "archive", "extract", "fixity"},
    {"durable"},
    {"model"},
    {"errors"},
)
# rooms that share a floor and may import each other
DOORS = {("cli", "display")}

# a verb loads its own stage only, and rich is loaded for a terminal only
LATE_IMPORTERS = {"cli", "display"}

# what reaches outside the process, and the only modules that may: patterns of module names
RESERVED = {
    "socket": r"crawl\.wire\.(connection|dial|fetch|lookup|tls|tunnel)",
    "ssl": r"crawl\.wire\.(connection|dial|reception|tls)",
    "select": r"crawl\.wire\.connection",
    "urllib3": r"crawl\.wire\.fetch",
    "requests": r"crawl\.wire\.\w+|stages\.visitor",
    "http": r"stages\.demo_server",
    "socketserver": r"stages\.demo_server",
    "urllib.request": "",
    "sqlite3": r"crawl\.frontier\.database",
    "subprocess": r"stages\.(demo\w*|ssh)",
    "multiprocessing": r"stages\.\w+",
    "trafilatura": r"extract\.\w+",
    "bs4": r"extract\.\w+",
    "lxml": r"extract\.\w+|crawl\.links\.\w+",
    "warcio": r"archive\.\w+",
    "click": r"cli\.\w+|display",
    "rich": r"display",
    "random": "",
    "pickle": "",
}

# who may not look at a clock, throw dice, or make ids: they are given these
PURE = re.compile(
    r"model\..+|extract\..+|crawl\.(rules\.(?!seeds|secrets)|links\.).+|crawl\.frontier\.schedule"
)
IMPURE_CALLS = re.compile(
    r"(datetime|date)\.(now|utcnow|today)|time\.\w+|random\.\w+|secrets\.\w+|os\.urandom"
    r"|uuid\.uuid[14]|open|input|print"
)
IMPURE_METHODS = {
    "read_bytes",
    "read_text",
    "write_bytes",
    "write_text",
    "unlink",
    "mkdir",
    "touch",
}

MODULE_LINES = 400
FUNCTION_LINES = 60
SHAPELESS = re.compile(r"util|helper|common|manager|misc", re.IGNORECASE)


@dataclass(frozen=True)
class Module:
    """A module of the package: its name within it (`crawl.wire`) and its source."""

    name: str
    path: Path
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        return self.name.split(".")[0]


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(HOUSE.rglob("*.py")):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            source = path.read_text("utf-8")
            found.append(Module(name, path, ast.parse(source), source.count("\n")))
    return tuple(found)


every_module = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


def imported(module: Module) -> Iterator[str]:
    """Give the full name of everything a module imports, also under `if TYPE_CHECKING`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name}: a relative import"
            source = node.module or ""
            yield from (f"{source}.{alias.name}" for alias in node.names)


def floor_of(room: str) -> int:
    for number, rooms in enumerate(FLOORS):
        if room in rooms:
            return number
    raise AssertionError(f"pipeline/{room} has no place in the house: see FLOORS")


@every_module
def test_imports_point_down_only(module: Module) -> None:
    own = floor_of(module.room)
    for name in imported(module):
        package, _, inner = name.partition(".")
        room = inner.split(".")[0]
        if package != "pipeline" or room == module.room or room.startswith("__"):
            continue
        assert floor_of(room) > own or (module.room, room) in DOORS, (
            f"pipeline.{module.name} must not import {name}"
        )


@every_module
def test_the_outside_is_reached_only_where_it_is_meant_to_be(module: Module) -> None:
    for name in imported(module):
        for reserved, allowed in RESERVED.items():
            if name == reserved or name.startswith(reserved + "."):
                assert re.fullmatch(allowed, module.name), (
                    f"pipeline.{module.name} must not import {name}"
                )


@every_module
def test_imports_stand_at_the_top(module: Module) -> None:
    if module.room in LATE_IMPORTERS:
        return
    for function in functions(module):
        for node in ast.walk(function):
            assert not isinstance(node, ast.Import | ast.ImportFrom), (
                f"pipeline.{module.name}:{node.lineno}: an import in a function"
            )


@every_module
def test_pure_modules_read_no_clock_no_dice_and_no_files(module: Module) -> None:
    if not PURE.fullmatch(module.name):
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        method = called.rpartition(".")[2]
        assert not IMPURE_CALLS.fullmatch(called) and method not in IMPURE_METHODS, (
            f"pipeline.{module.name}:{node.lineno}: {called}()"
        )


@every_module
def test_a_module_imports(module: Module) -> None:
    importlib.import_module(f"pipeline.{module.name}")


@every_module
def test_a_module_fits_on_a_few_screens(module: Module) -> None:
    assert module.lines <= MODULE_LINES
    for function in functions(module):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= FUNCTION_LINES, f"{module.name}.{function.name} has {length} lines"


@every_module
def test_a_module_says_what_it_is_for(module: Module) -> None:
    assert module.lines == 0 or ast.get_docstring(module.tree)


@every_module
def test_names_say_something(module: Module) -> None:
    classes = [node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    assert [name for name in [module.name, *classes] if SHAPELESS.search(name)] == []


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_rules_find_what_they_forbid() -> None:
    """A rule that cannot fail is no rule."""
    source = "import requests\ndef f():\n    from pipeline.stages import crawl\n    open('x')\n"
    bad = Module("extract.bad", HOUSE / "extract" / "bad.py", ast.parse(source), MODULE_LINES + 1)
    for rule in (
        test_imports_point_down_only,
        test_the_outside_is_reached_only_where_it_is_meant_to_be,
        test_imports_stand_at_the_top,
        test_pure_modules_read_no_clock_no_dice_and_no_files,
        test_a_module_fits_on_a_few_screens,
        test_a_module_says_what_it_is_for,
    ):
        with pytest.raises(AssertionError):
            rule(bad)


def test_the_public_names_exist_and_are_few() -> None:
    assert len(pipeline.__all__) <= 12
    assert [name for name in pipeline.__all__ if not hasattr(pipeline, name)] == []


def test_a_verb_loads_only_its_own_stage() -> None:
    """`holdfast --help` and `verify` must start fast."""
    show = (
        "import sys, pipeline.cli;"
        "heavy = 'pipeline.stages', 'requests', 'lxml', 'trafilatura', 'bs4', 'sqlite3';"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    command = [sys.executable, "-c", show]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def verbs() -> dict[str, click.Command]:
    """Give every verb of the command by its words, `seeds check`."""
    cli = importlib.import_module("pipeline.cli")
    top = next(item for item in vars(cli).values() if isinstance(item, click.Group))
    return dict(_verbs(top, ""))


def _verbs(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _verbs(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def test_every_verb_explains_itself_and_is_documented() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(verbs()) >= 9
    for name, verb in verbs().items():
        assert verb.help, f"holdfast {name} has no help"
        assert re.search(rf"holdfast [^\n`]*\b{re.escape(name)}\b", readme), (
            f"README.md does not show `holdfast {name}`"
        )
        for option in verb.params:
            if isinstance(option, click.Option):
                assert option.help, f"holdfast {name} {option.opts[0]} has no help"


def test_the_help_shown_in_the_readme_is_the_real_one() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = re.search(r"```\w*\n\$ holdfast --help\n(.*?)```", readme, re.DOTALL)
    assert shown, "README.md shows no `$ holdfast --help`"
    holdfast = Path(sys.executable).parent / "holdfast"
    real = subprocess.run([holdfast, "--help"], capture_output=True, text=True, check=True).stdout
    assert shown[1].strip() == real.strip()


# what belongs to one machine, to one registry, or to the manners of a writing tool, and in no file
OUT_OF_PLACE = {
    "a path of somebody's machine": r"(?<![\w.$~-])/(?:home|Users|root|work)/[\w.]",
    "the host of a package registry": r"pypi\s*\.\s*org|python[h]osted|npmj[s]|crates\.i[o]",
    "manners of a writing tool": r"(?i)\bas an a[i]\b|language mode[l]|generated (?:by|with) a[i]",
}


def text_files() -> list[Path]:
    """Give the files under version control that are text."""
    git = shutil.which("git")
    if not git or not (ROOT / ".git").exists():
        pytest.skip("no git work tree here, so nothing tells which files belong to the project")
    command = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [path for name in listed if name and (path := ROOT / name).is_file() and is_text(path)]


def is_text(path: Path) -> bool:
    try:
        return "\0" not in path.read_text("utf-8")
    except UnicodeDecodeError:
        return False


def test_nothing_in_the_tree_belongs_to_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {what}"
        for path in text_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for what, pattern in OUT_OF_PLACE.items()
        if re.search(pattern, line)
    ]
    assert found == []

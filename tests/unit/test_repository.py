"""The rules of the house that no linter knows: a rule without a failing check is not kept."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THIS = Path(__file__).relative_to(ROOT)
MOST_LINES = 400
CLOCK = Path("agent/core/clock.py")
_SKIPPED = {".git", ".venv", "__pycache__", "build", "dist"}

# Written in two parts, so that this file obeys its own rule.
MACHINE_PATHS = re.compile(r"(?<![\w.-])/(?:work|home|Users)" r"/[a-z]")
REGISTRY_HOSTS = re.compile(
    r"(?:pypi\.|files\.pythonhosted\.|test\.pypi\.)" r"org|registry\.(?:npmjs|yarnpkg)\."
    r"|deb\.debian\." r"org|static\.crates\." r"io|proxy\.golang\." r"org",
)  # fmt: skip
_TEXT = {".py", ".md", ".toml", ".service", ".html", ".js", ".css", ".json", ".sh", ".yml", ""}


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files of the repository, relative; of the folder where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0 and listing.stdout:
        paths = [Path(name) for name in listing.stdout.split("\0") if name]
    else:
        paths = [
            path.relative_to(ROOT)
            for path in ROOT.rglob("*")
            if not _SKIPPED & set(path.relative_to(ROOT).parts)
        ]
    return tuple(path for path in paths if (ROOT / path).is_file())


def python_files() -> list[Path]:
    return [p for p in tracked() if p.suffix == ".py" and p.parts[0] in {"agent", "hardware"}]


def text_of(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


WALL_CLOCK = {
    "time": {"time", "time_ns", "sleep", "localtime", "gmtime", "ctime", "clock_gettime"},
    "datetime": {"now", "utcnow", "today"},
    "asyncio": {"sleep"},
}


def wall_clock_reads(tree: ast.AST) -> list[str]:
    """Return what in `tree` reads the wall clock or sleeps on its own."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in {"time", "asyncio"}:
            banned = {alias.name for alias in node.names} & WALL_CLOCK[node.module]
            found += [f"{node.lineno}: from {node.module} import {name}" for name in banned]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, name = dotted(node.func.value), node.func.attr
            base = {
                "date": "datetime",
                "datetime.datetime": "datetime",
                "datetime.date": "datetime",
            }
            if name in WALL_CLOCK.get(base.get(owner, owner), ()):
                found.append(f"{node.lineno}: {owner}.{name}()")
    return found


def test_only_the_clock_reads_the_wall_clock_or_sleeps():
    reads = {
        str(path): wall_clock_reads(ast.parse(text_of(path)))
        for path in python_files()
        if path != CLOCK
    }
    assert {path: found for path, found in reads.items() if found} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "from time import sleep",
        "import asyncio\nasyncio.sleep(1)",
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "import datetime\ndatetime.datetime.now()",
    ],
)
def test_the_check_for_the_wall_clock_sees_it(code):
    assert wall_clock_reads(ast.parse(code))


def test_no_file_grows_beyond_what_is_read_in_one_go():
    sizes = {str(path): len(text_of(path).splitlines()) for path in python_files()}
    assert {path: lines for path, lines in sizes.items() if lines > MOST_LINES} == {}


def test_every_module_says_what_it_is_for():
    silent = [
        str(path) for path in python_files() if not ast.get_docstring(ast.parse(text_of(path)))
    ]
    assert silent == []


def test_every_folder_explains_itself():
    folders = {path.parent for path in python_files()} | {Path("image-build"), Path("hardware")}
    dumb = [
        str(folder)
        for folder in folders
        if not (ROOT / folder / "README.md").is_file()
        and not (ROOT / folder / "__init__.py").is_file()
    ]
    assert dumb == []


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, REGISTRY_HOSTS], ids=["paths", "registries"])
def test_no_file_holds_the_path_or_registry_of_one_machine(pattern):
    found = []
    for path in tracked():
        if path.suffix not in _TEXT or path == THIS:
            continue
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path}:{number}: {line.strip()[:120]}")
    assert found == []


def test_every_relative_link_of_a_document_leads_somewhere():
    link = re.compile(r"\]\((?!https?://|mailto:|#)([^)\s#]+)(?:#[^)]*)?\)")
    broken = []
    for path in tracked():
        if path.suffix != ".md":
            continue
        text = re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL)
        targets = {found[1] for found in link.finditer(text)}
        broken += [f"{path} -> {t}" for t in targets if not (ROOT / path.parent / t).exists()]
    assert broken == []


def test_imports_go_one_way():
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr

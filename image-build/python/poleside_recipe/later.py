"""The few packages that a board needs of a later Debian, by name, over those of its base.

They are fetched beside the base, so that the base stays one for all boards, and never with what
they depend on: the image's own dpkg lays them in, and refuses what the release does not satisfy.
"""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from poleside_recipe.parts import IMAGE_BUILD, Variant, entries
from poleside_recipe.run import run

LISTS = IMAGE_BUILD / "packages"
_ARRIVE = "later-parts"


def packages(variant: Variant) -> list[str]:
    """Return what a board takes of a later Debian, each as apt has it: `name/release`."""
    listed = LISTS / f"later-{variant.board}-{variant.suite}.list"
    return entries(listed) if listed.exists() else []


def releases(named: Iterable[str]) -> list[str]:
    """Return the releases of such packages, each once."""
    return sorted({each.split("/")[1] for each in named})


def not_at_hand(variant: Variant, sources: str) -> list[str]:
    """Return the releases that no line of an apt sources.list leads to."""
    return [each for each in releases(packages(variant)) if not _lines(sources, [each])]


def left_out(sources: str) -> str:
    """Return an apt sources.list without later releases: apt would take all it can from them."""
    every = releases(each for listed in LISTS.glob("later-*.list") for each in entries(listed))
    lines = sources.splitlines(keepends=True)
    return "".join(line for line in lines if not _leads(line, every))


def _lines(sources: str, named: Iterable[str]) -> list[str]:
    return [line for line in sources.splitlines() if _leads(line, named)]


def _leads(line: str, named: Iterable[str]) -> bool:
    words = line.split("#", 1)[0].split()
    return any(each in words for each in named)


def key(variant: Variant, sources: str) -> str:
    """Return what names the cached packages: which they are, and from where."""
    named = packages(variant)
    text = "\n".join([*named, *_lines(sources, releases(named))])
    return f"later-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def fetched(variant: Variant, cache: Path, sources: Path) -> Path | None:
    """Return a folder with the packages, from the cache or fetched; None where there are none."""
    named = packages(variant)
    if not named:
        return None
    told = sources.read_text()
    folder = cache.resolve() / key(variant, told)
    if folder.exists():
        return folder
    scratch, lists = folder.with_suffix(".new"), folder.with_suffix(".apt")
    for old in (scratch, lists):
        shutil.rmtree(old, ignore_errors=True)
    (lists / "lists/partial").mkdir(parents=True)
    scratch.mkdir()
    (lists / "status").touch()
    (lists / "sources.list").write_text("\n".join(_lines(told, releases(named))) + "\n")
    apt = ["apt-get", "--quiet", *_apart(lists)]
    run(*apt, "update")
    run("env", "--chdir", scratch, *apt, "download", *named)
    shutil.rmtree(lists)
    scratch.rename(folder)
    return folder


def _apart(folder: Path) -> list[str]:
    """Return the words by which apt knows nothing of this machine's packages, but its keys."""
    told = {
        "Dir::Etc::SourceList": f"{folder}/sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::Status": f"{folder}/status",
        "Dir::Cache": folder,
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in told.items() for word in ("-o", f"{name}={value}")]


def lay(folder: Path, root: Path) -> None:
    """Install the packages in `root`, emulated: its list of packages and its links stay true.

    Raises `subprocess.CalledProcessError` when they need more than the release has.
    """
    shutil.copytree(folder, root / _ARRIVE)
    names = [f"/{_ARRIVE}/{package.name}" for package in sorted(folder.glob("*.deb"))]
    run("chroot", root, "dpkg", "--install", *names)
    shutil.rmtree(root / _ARRIVE)

"""The kernel of a board that the release's own does not serve, and our module for it.

A Raspberry Pi's is Debian's too, of the release's backports: that has a Pi 5's Ethernet and USB. It
is fetched beside the base, so that the base stays one for all boards. The module in `image-build/
kernel` is built for exactly this kernel, by its release's compiler under emulation: half a minute.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from poleside_recipe import later
from poleside_recipe.parts import IMAGE_BUILD, Variant, entries
from poleside_recipe.run import run

MODULE = "poleside_firmware"
LICENCE = "GPL-2.0-only"
SOURCE = IMAGE_BUILD / "kernel"
FETCH = IMAGE_BUILD / "packages/fetch-kernel"
# What builds the module. Extracted, not installed: nothing of it is configured or comes along.
_BUILDS = ("make", "gcc-14", "binutils", "dash", "coreutils", "sed", "grep", "mawk", "findutils")


def package(variant: Variant) -> str | None:
    """Return the kernel's package in the backports, None where the release's own will do."""
    listed = IMAGE_BUILD / f"packages/kernel-{variant.board}-{variant.suite}.list"
    return entries(listed)[0] if listed.exists() else None


def release(variant: Variant) -> str:
    """Return what apt calls the release's backports."""
    return f"{variant.suite}-backports"


def is_at_hand(variant: Variant, sources: str) -> bool:
    """Say whether an apt sources.list leads to the kernel."""
    return package(variant) is None or any(_leads(variant, line) for line in sources.splitlines())


def _leads(variant: Variant, line: str) -> bool:
    return release(variant) in line.split("#", 1)[0].split()


def key(variant: Variant, sources: str) -> str:
    """Return what names the cached kernel: its source, its script, and the module's."""
    lines = [line for line in sources.splitlines() if _leads(variant, line)]
    texts = [*lines, *_BUILDS, str(package(variant)), FETCH.read_text()]
    texts += [path.read_text() for path in module_source()]
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    return f"kernel-{digest[:16]}"


def module_source() -> list[Path]:
    return [*sorted(SOURCE.glob("*.c")), SOURCE / "Kbuild"]


def fetched(variant: Variant, cache: Path, sources: Path) -> Path | None:
    """Return a folder with the kernel's packages and our module, from the cache or made."""
    named = package(variant)
    if named is None:
        return None
    told = sources.read_text()
    folder = cache / key(variant, told)
    if folder.exists():
        return folder
    scratch, root = folder.with_suffix(".new"), folder.with_suffix(".root")
    for old in (scratch, root):
        shutil.rmtree(old, ignore_errors=True)
    scratch.mkdir(parents=True)
    listed = folder.with_suffix(".sources.list")
    listed.write_text(later.left_out(told))
    headers = named.replace("linux-image", "linux-headers")
    run(
        *("mmdebstrap", "--mode=root", "--variant=extract", "--architectures=arm64"),
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        f"--include={','.join((f'{headers}/{release(variant)}', *_BUILDS))}",
        '--aptopt=APT::Install-Recommends "false"',
        f'--extract-hook="{FETCH}" "$1" {release(variant)} {named} "{scratch}"',
        *(variant.suite, root, listed),
    )
    shutil.rmtree(root)
    scratch.rename(folder)
    return folder


def lay_module(folder: Path, modules: Path) -> None:
    """Put our module beside the kernel's own, before they are indexed."""
    (modules / "updates").mkdir(exist_ok=True)
    shutil.copyfile(folder / f"{MODULE}.ko", modules / f"updates/{MODULE}.ko")


def load_at_boot(modules: Path, root: Path) -> None:
    """Have the module loaded at every boot, where there is one."""
    if (modules / f"updates/{MODULE}.ko").exists():
        target = root / "etc/modules-load.d/poleside-firmware.conf"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{MODULE}\n")


def image_of(unpacked: Path) -> Path:
    """Return the kernel: beside its modules from Linux 7 on, before in `boot`."""
    found = [*(unpacked / "boot").glob("vmlinuz-*"), *unpacked.glob("usr/lib/modules/*/vmlinuz")]
    (kernel,) = found
    return kernel


def modules_laid(root: Path) -> Iterator[Path]:
    """Yield our module in a root or among what is unpacked."""
    yield from root.glob(f"usr/lib/modules/*/updates/{MODULE}.ko")

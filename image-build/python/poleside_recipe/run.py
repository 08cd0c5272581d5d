"""Run the recipe's tools: administrators' programs too, and one time for everything they write."""

import os
import shutil
import subprocess

EPOCH = 1_767_225_600  # 2026-01-01: every time stamp in an image
SBIN = "/usr/sbin:/sbin"


def environment() -> dict[str, str]:
    """Return the tools' environment."""
    return {
        **os.environ,
        "PATH": f"{os.environ.get('PATH', os.defpath)}:{SBIN}",
        "SOURCE_DATE_EPOCH": str(EPOCH),
        "E2FSPROGS_FAKE_TIME": str(EPOCH),
        "TZ": "UTC",
    }


def run(*command: object, is_quiet: bool = False) -> None:
    said = subprocess.DEVNULL if is_quiet else None
    subprocess.run([str(part) for part in command], check=True, env=environment(), stdout=said)


def missing(tools: dict[str, tuple[str, str]]) -> list[str]:
    """Return a sentence for each program (-> Debian package, what for) that is not here."""
    path = environment()["PATH"]
    return [
        f"{name} (Debian package {package}): {purpose}"
        for name, (package, purpose) in tools.items()
        if shutil.which(name, path=path) is None
    ]

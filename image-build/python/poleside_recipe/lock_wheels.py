"""`make image-lock`: pin the agent's wheels for arm64, each by version and SHA-256.

pip itself resolves for the other machine (`--dry-run --report`); nothing is installed. What comes
as source only is pure Python, is locked by the hash of its source, and is built by the builder.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from poleside_recipe.parts import ENGINES, IMAGE_BUILD, SUITES, for_the_box

SOURCE_ONLY = ("onvif-zeep",)  # pure Python, no wheel on PyPI; its own needs are among ours


def wanted(project: Path, suite: str) -> tuple[list[str], list[str]]:
    """Return the agent's requirements: those with wheels, those that come as source."""
    told = tomllib.loads(project.read_text())["project"]
    listed: list[str] = told["dependencies"]
    if ENGINES[suite] == "tflite-runtime":  # its extra, in place of the other engine
        listed = [need for need in listed if not need.startswith("ai-edge-litert")]
        listed += [need.split(";")[0] for need in told["optional-dependencies"]["tflite"]]
    source = [need for need in listed if need.startswith(SOURCE_ONLY)]
    return [need for need in listed if need not in source], source


def lock_text(reports: list[dict[str, Any]]) -> str:
    """Return the lock from pip's reports: `name==version --hash=…` a line, sorted."""
    lines = set()
    for report in reports:
        for item in report["install"]:
            name = item["metadata"]["name"].lower().replace("_", "-")
            digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
            lines.add(f"{name}=={item['metadata']['version']} --hash=sha256:{digest}")
    return "\n".join(sorted(lines)) + "\n"


def resolved(arguments: list[str]) -> dict[str, Any]:
    """Return pip's report of what it would install."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-input"]
    command += ["--disable-pip-version-check", "--ignore-installed", "--report", "-", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def lock(suite: str, project: Path) -> str:
    """Return the lock of one Debian release."""
    binary, source = wanted(project, suite)
    reports = [resolved([*for_the_box(suite), "--target", "/nowhere", *binary])]
    if source:
        reports.append(resolved(["--no-deps", "--no-binary=:all:", *source]))
    return lock_text(reports)


def main(suites: list[str]) -> None:
    """Write `image-build/wheels/SUITE.txt` for each suite."""
    for suite in suites or list(SUITES):
        text = lock(suite, IMAGE_BUILD.parent / "pyproject.toml")
        target = IMAGE_BUILD / "wheels" / f"{suite}.txt"
        target.write_text(
            f"# By `make image-lock`: Debian {suite}, arm64, Python {SUITES[suite]}.\n{text}"
        )
        print(f"{target.name}: {text.count('--hash')} distributions")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The version below which no update is taken, whoever signed it: a mended hole stays mended.

An image brings its floor; the highest that was ever kept is remembered on `data`. It moves only
when a release says so, so that the version before can still be gone back to.
"""

from pathlib import Path

from poleside_image import small_files

RELEASE = Path("/usr/lib/poleside/release.json")  # {"version": "1.2.0", "floor": "1.1.0"}
FLOOR = "floor.json"

Version = tuple[int, int, int]


def parsed(text: object) -> Version:
    """Return (1, 2, 0) for "1.2.0". Raises `ValueError` for all that is not three numbers."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"a version is three numbers with points, not {text!r}")
    major, minor, patch = (int(part) for part in parts)
    return major, minor, patch


def running_version(release: Path = RELEASE) -> str:
    """Return the image's own version, "0.0.0" on a machine that is no image."""
    version = small_files.read(release).get("version", "0.0.0")
    return version if isinstance(version, str) else "0.0.0"


def floor(folder: Path, release: Path = RELEASE) -> Version:
    """Return the lowest version that may be installed."""
    found = [small_files.read(path).get("floor") for path in (release, folder / FLOOR)]
    return max(parsed(text or "0.0.0") for text in found)


def raise_to_image(folder: Path, release: Path = RELEASE) -> None:
    """Remember the floor of the image that was just kept; it never sinks."""
    lowest = ".".join(map(str, floor(folder, release)))
    if small_files.read(folder / FLOOR).get("floor") != lowest:
        small_files.write(folder / FLOOR, {"floor": lowest})

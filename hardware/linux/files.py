"""Read the one-line files of /proc and /sys. What is absent or refuses to be read is None."""

from pathlib import Path


def read_text(path: Path) -> str | None:
    """Return the file's text without NULs and white space at its ends, or None.

    A driver may refuse with EIO, ENODATA or EINVAL at any time; that is "unknown" too.
    """
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    return raw.decode("utf-8", "replace").strip("\0 \t\r\n") or None


def read_int(path: Path, base: int = 10) -> int | None:
    """Return the file's whole number, or None."""
    text = read_text(path)
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None


def read_scaled(path: Path, unit: float) -> float | None:
    """Return the file's whole number times `unit` (0.001 for milli-…), or None."""
    number = read_int(path)
    return None if number is None else number * unit

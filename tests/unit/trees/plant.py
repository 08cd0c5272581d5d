"""Plant a tree of /proc and /sys from one TOML file, so that a recorded board is a test."""

import tomllib
from pathlib import Path

TREES = Path(__file__).parent


def plant(name: str, root: Path, trees: Path = TREES) -> Path:
    """Write the files and links of tree `name` under `root` and return `root`."""
    tree = tomllib.loads((trees / f"{name}.toml").read_text(encoding="utf-8"))
    for path, content in tree.get("files", {}).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode())
    for path, aim in tree.get("links", {}).items():
        link = root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(aim)
    return root

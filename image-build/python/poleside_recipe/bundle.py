"""The signed update: kernel and root of one version, as RAUC takes them (verity format).

Bundles are checked block by block while they are read; both slots take the same images.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

from poleside_recipe.parts import Variant


def manifest(variant: Variant, version: str) -> str:
    """Return `manifest.raucm`. The block index lets a box fetch only the blocks it has not."""
    return f"""[update]
compatible=poleside-{variant.board}
version={version}

[bundle]
format=verity

[image.system]
filename=system.img
adaptive=block-hash-index

[image.boot]
filename=boot.img
"""


def make(
    variant: Variant,
    version: str,
    images: dict[str, Path],
    target: Path,
    certificate: Path,
    key: Path,
    within: Path,
) -> None:
    """Sign a bundle of `images` (by the names `system` and `boot`) into `target`.

    `within` is an empty folder to work in. `key` may be a PKCS #11 address in a later form: the
    key of a city's updates belongs in hardware. Raises `subprocess.CalledProcessError`.
    """
    folder = within / "content"
    folder.mkdir()
    (folder / "manifest.raucm").write_text(manifest(variant, version))
    for name in ("system", "boot"):
        shutil.copyfile(images[name], folder / f"{name}.img")
    # What lies in it is packed already: small blocks keep a change of the root a small download.
    squashed = "--mksquashfs-args=-b 4096 -noD -noF"
    rauc = ["rauc", "bundle", f"--cert={certificate}", f"--key={key}", squashed]
    subprocess.run([*rauc, str(folder), str(target)], check=True)


def main() -> None:
    """`python -m poleside_recipe.bundle …`, as `make image` will call it once there is a kernel."""
    parser = argparse.ArgumentParser(prog="bundle")
    for name in ("--system", "--boot", "--cert", "--key", "--out", "--within"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--suite", "--board", "--version"):
        parser.add_argument(name, required=True)
    chosen = parser.parse_args()
    make(
        Variant(chosen.suite, chosen.board),
        chosen.version,
        {"system": chosen.system, "boot": chosen.boot},
        chosen.out,
        chosen.cert,
        chosen.key,
        chosen.within,
    )


if __name__ == "__main__":
    main()

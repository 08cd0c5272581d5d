"""The signed update: kernel and root of one version, as RAUC takes them (verity format).

Bundles are checked block by block while they are read; both slots take the same images.
"""

import os
import shutil
from pathlib import Path

from poleside_recipe.keys import Signing
from poleside_recipe.parts import Variant
from poleside_recipe.run import run


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
    signing: Signing,
) -> None:
    """Sign a bundle of `images` (by the names `system` and `boot`) into `target`.

    A key may be a PKCS #11 address in a later form: the key of a city's updates belongs in
    hardware. Raises `subprocess.CalledProcessError`.
    """
    folder = target.with_suffix(".content")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    target.unlink(missing_ok=True)
    (folder / "manifest.raucm").write_text(manifest(variant, version))
    for name in ("system", "boot"):
        os.link(images[name], folder / f"{name}.img")
    # What lies in it is packed already: small blocks keep a change of the root a small download.
    squashed = "--mksquashfs-args=-b 4096 -noD -noF"
    rauc = ["rauc", "bundle", f"--cert={signing.certificate}", f"--key={signing.key}"]
    run(*rauc, f"--keyring={signing.keyring}", squashed, folder, target, is_quiet=True)
    shutil.rmtree(folder)

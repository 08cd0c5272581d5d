"""A bundle is taken when a key of ours signed it whole, and refused when it is not."""

import configparser
import json
import subprocess

import pytest
from poleside_recipe import bundle
from poleside_recipe.parts import Variant

VARIANT = Variant("trixie", "virt")


def test_the_manifest_names_the_board_the_version_and_both_images():
    manifest = configparser.ConfigParser()
    manifest.read_string(bundle.manifest(VARIANT, "1.2.0"))
    assert dict(manifest["update"]) == {"compatible": "poleside-virt", "version": "1.2.0"}
    assert manifest["bundle"]["format"] == "verity"
    assert manifest["image.system"]["adaptive"] == "block-hash-index"
    assert "image.boot" in manifest


def new_key(folder, name):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "3650", "-subj", f"/CN={name}"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.fixture
def signed(tmp_path):
    certificate, key = new_key(tmp_path, "updates")
    images = {}
    for name in ("system", "boot"):
        images[name] = tmp_path / name
        images[name].write_bytes(name.encode() * 4096)
    work = tmp_path / "work"
    work.mkdir()
    target = tmp_path / "new.raucb"
    bundle.make(VARIANT, "1.2.0", images, target, certificate, key, work)
    return target, certificate


def info(target, keyring):
    return subprocess.run(
        ["rauc", "info", f"--keyring={keyring}", "--output-format=json", str(target)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_bundle_of_ours_is_taken_and_tells_its_version(signed):
    done = info(*signed)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == "1.2.0"


def test_a_foreign_signature_is_refused(signed, tmp_path):
    other, _ = new_key(tmp_path, "somebody")
    assert info(signed[0], other).returncode != 0


def test_a_truncated_bundle_is_refused(signed):
    target, certificate = signed
    target.write_bytes(target.read_bytes()[:-100])
    assert info(target, certificate).returncode != 0

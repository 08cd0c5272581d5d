"""A bundle is taken when a key of ours signed it whole, and refused when it is not."""

import configparser
import json
import os
import struct
import subprocess

import pytest
from poleside_recipe import bundle, keys
from poleside_recipe.parts import Variant

VARIANT = Variant("trixie", "virt")


def test_the_manifest_names_the_board_the_version_and_both_images():
    manifest = configparser.ConfigParser()
    manifest.read_string(bundle.manifest(VARIANT, "1.2.0"))
    assert dict(manifest["update"]) == {"compatible": "poleside-virt", "version": "1.2.0"}
    assert manifest["bundle"]["format"] == "verity"
    assert manifest["image.system"]["adaptive"] == "block-hash-index"
    assert "image.boot" in manifest


@pytest.fixture(scope="module")
def trial_keys(tmp_path_factory):
    return keys.signing(None, tmp_path_factory.mktemp("keys"))


def made_with(signing, tmp_path, seconds=None):
    images = {}
    for name in ("system", "boot"):
        images[name] = tmp_path / name
        images[name].write_bytes(name.encode() * 4096)
        if seconds:
            os.utime(images[name], (seconds, seconds))
    target = tmp_path / "new.raucb"
    bundle.make(VARIANT, "1.2.0", images, target, signing)
    return target


@pytest.fixture
def signed(tmp_path, trial_keys):
    return made_with(trial_keys, tmp_path), trial_keys.keyring


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


def test_the_second_root_key_can_take_over(tmp_path, trial_keys):
    folder = trial_keys.keyring.parent
    other = keys.Signing(trial_keys.keyring, folder / "signer-2.pem", folder / "signer-2.key")
    done = info(made_with(other, tmp_path), trial_keys.keyring)
    assert done.returncode == 0, done.stderr


def test_a_second_bundle_of_the_same_has_the_same_bits_but_for_its_signature(tmp_path, trial_keys):
    """All behind the squashfs is the verity tree, salted anew, and the signature with its time."""
    made = []
    for name, seconds in (("one", 1_800_000_000), ("another", 1_900_000_000)):
        (tmp_path / name).mkdir()
        target = made_with(trial_keys, tmp_path / name, seconds)
        content = target.read_bytes()
        assert content[:4] == b"hsqs"
        made.append(content[: struct.unpack_from("<Q", content, 40)[0]])
    assert made[0] == made[1]
    assert len(made[0]) > 2 * 4096


def test_a_foreign_signature_is_refused(signed, tmp_path):
    assert info(signed[0], keys.signing(None, tmp_path / "somebody").keyring).returncode != 0


def test_a_second_build_signs_with_the_same_keys(trial_keys):
    again = keys.signing(None, trial_keys.keyring.parent)
    assert again == trial_keys
    assert again.keyring.read_text().count("BEGIN CERTIFICATE") == 2


def test_a_truncated_bundle_is_refused(signed):
    target, keyring = signed
    target.write_bytes(target.read_bytes()[:-100])
    assert info(target, keyring).returncode != 0

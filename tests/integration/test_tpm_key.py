"""A box with a TPM signs inside it; the key is worth nothing without that TPM."""

import json
from datetime import timedelta

import msgspec
import pytest

from agent.core.errors import StorageError
from agent.evidence.key_store import KEY_FILE, TPM_FILE, load_box_key, open_box_key, rotate_key
from agent.evidence.tpm_key import TpmBlob
from agent.evidence.verify import verify_clip
from agent.local.cli import diagnosis
from agent.local.cli.diagnosis import Level
from agent.settings.model import Settings
from tests.chained_tape import ChainedTape, poleside
from tests.footage_maker import make_clip
from tests.tpm import SoftTpm


@pytest.fixture
def tpm(tmp_path, monkeypatch):
    with SoftTpm(tmp_path / "tpm") as tpm:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tpm.tcti)
        yield tpm


def use(tpm, data_dir):
    """Point a box's key at a TPM that answers at another port."""
    path = data_dir / "keys" / TPM_FILE
    blob = msgspec.json.decode(path.read_bytes(), type=TpmBlob)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(blob, tcti=tpm.tcti)))


def test_a_box_with_a_tpm_records_and_exports_with_a_key_inside_it(tpm, tmp_path):
    data_dir = tmp_path / "box"
    tape = ChainedTape(data_dir)
    assert tape.key.kind == "tpm2"
    assert not (data_dir / "keys" / KEY_FILE).exists()
    began = tape.clock.utc_now()
    tape.record(make_clip(tmp_path / "in.mp4", fps=10, seconds=6, size_px=(64, 48)))
    tape.index.close()
    out = tape.export(began, began + timedelta(seconds=5), tmp_path / "out.mp4")
    verdict = verify_clip(out, [tape.key.public])
    assert verdict.is_whole, verdict.findings
    assert verdict.signed_when_recorded == verdict.gops
    (finding,) = diagnosis.check_key(Settings(data_dir=str(data_dir)))
    assert (finding.level, "in the TPM" in finding.sentence) == (Level.OK, True)
    told = json.loads(poleside("clip", "key", "--data-dir", data_dir).stdout)
    assert (told["kind"], told["kid"]) == ("tpm2", tape.key.public.fingerprint)


def test_the_key_outlives_a_power_cut_and_dies_with_its_tpm(tmp_path, monkeypatch):
    data_dir = tmp_path / "box"
    with SoftTpm(tmp_path / "tpm") as tpm:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tpm.tcti)
        key = open_box_key(data_dir)
        assert key.public.verifies(key.sign(b"before"), b"before")
    with pytest.raises(StorageError, match="TPM"):
        key.sign(b"while it is away")
    with SoftTpm(tmp_path / "tpm") as again:
        use(again, data_dir)
        same = load_box_key(data_dir)
        assert same.public == key.public
        assert key.public.verifies(same.sign(b"after"), b"after")
    with SoftTpm(tmp_path / "another-board") as another:
        use(another, data_dir)
        with pytest.raises(StorageError, match="TPM"):
            load_box_key(data_dir).sign(b"stolen disk")


def test_a_key_in_a_file_hands_over_to_the_tpm_and_back(tmp_path, monkeypatch):
    monkeypatch.delenv("TPM2TOOLS_TCTI", raising=False)
    data_dir = tmp_path / "box"
    tape = ChainedTape(data_dir)
    if tape.key.kind != "file":
        pytest.skip("this machine has a TPM of its own")
    began = tape.clock.utc_now()
    source = make_clip(tmp_path / "in.mp4", fps=10, seconds=6, size_px=(64, 48))
    first = tape.key.public
    tape.record(source)
    with SoftTpm(tmp_path / "tpm") as tpm:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tpm.tcti)
        rotation = rotate_key(data_dir, tape.clock.utc_now(), "tpm2", "Lee", "got a TPM")
        assert rotation.new.kind == "tpm2"
        assert not (data_dir / "keys" / KEY_FILE).exists()
        tape.record(source)
        rotate_key(data_dir, tape.clock.utc_now(), "file", "Lee", "board goes to repair")
    assert load_box_key(data_dir).kind == "file"
    tape.record(source)
    tape.index.close()
    out = tape.export(began, tape.clock.utc_now(), tmp_path / "out.mp4")
    for key in (first, rotation.new.public, load_box_key(data_dir).public):
        verdict = verify_clip(out, [key])
        assert verdict.is_whole, verdict.findings
        assert verdict.is_pinned
    assert sum("changed its key" in note for note in verdict.notes) == 2

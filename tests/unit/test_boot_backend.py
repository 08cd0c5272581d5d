"""RAUC's boot backend on the bytes of a real partition: five questions, one sector."""

import pytest
from poleside_image.boot_choice import FIRST, to_sector
from poleside_image.boot_sector import BootSector, TrialSector, offset_of
from poleside_image.bootctl import Bootctl, main
from poleside_image.firmware import Firmware
from poleside_recipe.fat16 import bootcfg
from poleside_recipe.image import choice_image

SIZE = 17 * 1024 * 1024


@pytest.fixture
def partition(tmp_path):
    image = tmp_path / "bootcfg.img"
    image.write_bytes(bootcfg(SIZE, to_sector(FIRST)))
    return image


@pytest.fixture
def root(tmp_path):
    """A machine whose firmware started slot a."""
    started(tmp_path, partition=2, tryboot=0)
    return tmp_path


def started(root, partition, tryboot):
    tree = root / "proc/device-tree/chosen/bootloader"
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "partition").write_bytes(partition.to_bytes(4, "big"))
    (tree / "tryboot").write_bytes(tryboot.to_bytes(4, "big"))


@pytest.fixture
def ask(partition, root, capsys):
    bootctl = Bootctl(BootSector(partition), Firmware(root), root / "run/poleside-boot")

    def asked(*arguments):
        code = main(arguments, bootctl)
        said = capsys.readouterr()
        return said.out.strip() if code == 0 else f"{code}: {said.err.strip()}"

    return asked


def answered(root, flags):
    """The file by which our module says what the firmware answers."""
    folder = root / "sys/bus/platform/drivers/raspberrypi-firmware/soc:firmware"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reboot_flags").write_text(flags)


@pytest.mark.parametrize(("flags", "starts"), [("0\n", True), ("1\n", True), ("", False)])
def test_a_pi_starts_trials_where_its_firmware_has_answered(root, flags, starts):
    assert Firmware(root).starts_trials() is False  # no module
    answered(root, flags)
    assert Firmware(root).starts_trials() is starts


def test_the_agent_is_told_where_no_trial_can_be_started(ask, root):
    note = root / "run/poleside-boot/no-trials"
    answered(root, "0\n")
    ask("note")
    assert not note.exists()
    answered(root, "")
    ask("note")
    assert note.exists()


def test_a_pi_whose_firmware_does_not_answer_starts_no_trials(root):
    answered(root, "0\n")
    file = next(root.glob("sys/bus/platform/drivers/*/*/reboot_flags"))
    file.unlink()
    file.mkdir()  # can't be read, as where the module says EOPNOTSUPP
    assert Firmware(root).starts_trials() is False


def test_a_new_box_runs_slot_a_and_calls_both_good(ask):
    assert [ask("get-primary"), ask("get-current")] == ["a", "a"]
    assert [ask("get-state", "a"), ask("get-state", "b")] == ["good", "good"]


def test_an_update_is_a_trial_until_it_says_itself_that_it_is_good(ask, root):
    assert ask("set-state", "b", "bad") == ""
    assert ask("get-state", "b") == "bad"
    assert ask("set-primary", "b") == ""
    assert (root / "run/systemd/reboot-param").read_text() == "0 tryboot"
    assert ask("get-primary") == "b"
    assert ask("set-state", "b", "good").startswith("1: bootctl: slot b does not run")

    started(root, partition=3, tryboot=1)
    (root / "run/systemd/reboot-param").unlink()
    assert [ask("get-current"), ask("get-primary")] == ["b", "a"]
    ask("note")
    assert (root / "run/poleside-boot/trial").exists()
    assert ask("set-state", "b", "good") == ""
    assert [ask("get-primary"), ask("get-state", "b")] == ["b", "good"]
    assert not (root / "run/poleside-boot/trial").exists(), "the next update may come"


def test_the_kept_slot_is_not_given_up_for_one_that_may_not_work(ask):
    ask("set-state", "b", "bad")
    assert "slot a stays" in ask("set-state", "a", "bad")
    assert ask("get-primary") == "a"


def test_a_restart_asked_back_is_no_trial(ask, root):
    ask("set-primary", "b")
    ask("set-primary", "a")
    assert not (root / "run/systemd/reboot-param").exists()


def test_a_change_touches_one_sector_and_a_repetition_none(ask, partition, root):
    before = partition.read_bytes()
    started(root, partition=3, tryboot=1)
    ask("set-state", "b", "good")
    after = partition.read_bytes()
    offset = offset_of(partition)
    assert before[:offset] == after[:offset]
    assert before[offset + 512 :] == after[offset + 512 :]
    assert b"boot_partition=3\n[tryboot]\nboot_partition=2\n" in after[offset : offset + 512]
    written = partition.stat().st_mtime_ns
    ask("set-state", "b", "good")
    assert partition.stat().st_mtime_ns == written


def test_a_machine_without_slots_in_its_firmware_is_told_by_the_command_line(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("console=ttyAMA0 edge.slot=b edge.trial=1 panic=10\n")
    boot = Firmware(tmp_path).this_boot()
    assert (boot.slot, boot.is_trial) == ("b", True)
    assert Firmware(tmp_path).starts_trials()  # GRUB reads it from its sector


@pytest.fixture
def grub(tmp_path):
    """The boot choice partition as the recipe makes it for UEFI, and a machine GRUB started."""
    files = tmp_path / "uefi"
    files.mkdir()
    (files / "trial.env").write_bytes(b"# GRUB Environment Block\ntrial=0\n".ljust(1024, b"#"))
    partition = choice_image(tmp_path / "bootcfg.img", files)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("edge.slot=a\n")
    return partition, Firmware(tmp_path, TrialSector(partition))


def test_with_uefi_one_sector_of_the_boot_loaders_own_arms_the_trial(grub):
    partition, firmware = grub
    before = partition.read_bytes()
    offset = before.index(b"# GRUB Environment Block")
    assert firmware.is_armed() is False
    firmware.arm_trial()
    after = partition.read_bytes()
    assert after[offset:].startswith(b"# GRUB Environment Block\ntrial=1\n#")
    assert firmware.is_armed() is True
    assert after[:offset] + after[offset + 512 :] == before[:offset] + before[offset + 512 :]
    assert BootSector(partition).read() == FIRST
    firmware.disarm_trial()
    assert partition.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "2: "),
        (["get-state"], "2: "),
        (["get-state", "c"], "1: bootctl: a slot is"),
        (["set-state", "a", "fine"], "1: bootctl: a state is"),
    ],
)
def test_nonsense_is_refused(ask, arguments, said):
    assert ask(*arguments).startswith(said)


@pytest.mark.parametrize("harm", ["no file system", "no file", "foreign text"])
def test_a_damaged_partition_is_never_written_to(ask, partition, harm):
    image = bytearray(partition.read_bytes())
    if harm == "no file system":
        image[:512] = bytes(512)
    elif harm == "no file":
        at = image.index(b"AUTOBOOTTXT")
        image[at] = 0xE5
    else:
        offset = offset_of(partition)
        image[offset : offset + 512] = b"[all]\nboot_partition=1\n".ljust(512)
    partition.write_bytes(image)
    assert ask("set-primary", "b").startswith("1: bootctl: ")
    assert partition.read_bytes() == bytes(image)

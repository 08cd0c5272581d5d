"""What boots is the same bits each time, and holds what it needs: initramfs, boot partitions."""

import configparser
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import zstandard
from poleside_image import grow
from poleside_recipe import boot_stage, initramfs, kernel, layout, medium, parts, run, sbom, tree
from poleside_recipe.run import environment

import agent

PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
DEPENDENCIES = """kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/fs/mbcache.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/fs/mbcache.ko.xz:
kernel/drivers/gpu/big.ko.xz: kernel/fs/mbcache.ko.xz
kernel/drivers/block/virtio_blk.ko.xz:
"""


@pytest.fixture
def modules(tmp_path):
    folder = tmp_path / "6.12.0"
    for line in DEPENDENCIES.splitlines():
        file = folder / line.split(":")[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    (folder / "modules.dep").write_text(DEPENDENCIES)
    (folder / "modules.builtin").write_text("kernel/drivers/virtio/virtio_pci.ko\n")
    return folder


def test_a_module_is_loaded_after_what_it_needs_and_once(modules):
    wanted = ("virtio-pci", "ext4", "virtio_blk", "jbd2")
    order = [file.name for file in initramfs.load_order(modules, wanted)]
    assert order == ["mbcache.ko.xz", "jbd2.ko.xz", "ext4.ko.xz", "virtio_blk.ko.xz"]
    with pytest.raises(ValueError, match="no module zfs"):
        initramfs.load_order(modules, ("zfs",))


def test_a_module_that_not_every_kernel_has_may_be_missing(modules):
    order = [file.name for file in initramfs.load_order(modules, ("rp1_pci?", "jbd2?"))]
    assert order == ["jbd2.ko.xz"]


def test_a_raspberry_pi_feeds_its_watchdog_before_all_else_and_can_reach_a_pi_5_s_medium():
    wanted = initramfs.wanted("rpi")
    assert wanted[0] == "bcm2835_wdt"
    assert {"sdhci-brcmstb", "rp1_pci?", "irq-bcm2712-mip?", "nvme", "erofs"} <= set(wanted)
    assert not {"bcm2835_wdt", "sdhci-brcmstb"} & set(initramfs.wanted("virt"))


def test_the_root_keeps_what_its_modules_need_wherever_it_lies(modules):
    kept = boot_stage.wanted_modules(modules)
    assert "kernel/fs/mbcache.ko.xz" in kept  # ext4 needs it; no folder of the list has it
    assert not [name for name in kept if "gpu" in name]


def test_packages_from_before_the_merged_usr_lie_where_the_others_do(tmp_path):
    """Debian 12's kernel has its modules in /lib, Debian 13's in /usr/lib."""
    for file in ("lib/modules/6.1/ext4.ko", "usr/lib/grub/grubaa64.efi", "sbin/e2fsck.static"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    for _ in range(2):
        boot_stage.merge_usr(tmp_path)
        assert (tmp_path / "usr/lib/modules/6.1/ext4.ko").exists()
        assert (tmp_path / "usr/lib/grub/grubaa64.efi").exists()
        assert (tmp_path / "usr/sbin/e2fsck.static").exists()
        assert (tmp_path / "lib/modules").is_dir()  # where depmod looks


def members(archive):
    """Read a cpio of the kind the kernel reads."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode()
        at += (110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], fields[2:4], archive[at : at + fields[6]])
        at += (fields[6] + 3) // 4 * 4


def test_the_initramfs_holds_its_programs_and_belongs_to_root():
    files = {"init": b"#!", "bin/busybox": b"ELF", "bin/sh": "busybox", "modules/order": b"x.ko\n"}
    made = initramfs.archive(files, ("init", "bin/busybox"))
    assert made == initramfs.archive(dict(reversed(files.items())), ("bin/busybox", "init"))
    found = members(made)
    assert set(found) == {*files, *initramfs.FOLDERS}
    assert {tuple(owner) for _, owner, _ in found.values()} == {(0, 0)}
    assert found["init"][0] & 0o111
    assert not found["modules/order"][0] & 0o111
    assert found["bin/sh"][2] == b"busybox"
    assert zstandard.ZstdCompressor(level=19).compress(made)[:4] == b"\x28\xb5\x2f\xfd"


@pytest.mark.parametrize(
    "script", ["boot/init", "packages/fetch-boot-parts", "packages/fetch-kernel"]
)
def test_a_script_is_understood_by_a_plain_shell(script):
    subprocess.run(["sh", "-n", str(parts.IMAGE_BUILD / script)], check=True)


def test_every_board_has_the_words_it_boots_with():
    for name in ("boot.cfg", "cmdline.txt"):
        words = (parts.IMAGE_BUILD / "boot" / name).read_text()
        assert "panic=10" in words  # else a trial whose kernel panics never ends
    grub = (parts.IMAGE_BUILD / "boot/grub.cfg").read_text()
    assert grub.index("save_env") < grub.index("edge.trial=1")  # taken back before it is obeyed


def test_a_raspberry_pi_speaks_at_its_pins_and_waits_for_no_watchdog_that_is_none():
    """Its first port is wired to Bluetooth; what its firmware does not know does nothing."""
    words = (parts.IMAGE_BUILD / "boot/cmdline.txt").read_text().split()
    assert [word for word in words if word.startswith("console=")][-1] == "console=ttyS1,115200"
    told = (parts.IMAGE_BUILD / "boot/config.txt").read_text()
    assert (
        "boot_watchdog_timeout" not in told
    )  # the boot firmware's own, and over before the kernel


def test_first_stages_too_old_for_the_layout_are_told_and_others_taken(tmp_path, capsys):
    unpacked, given = tmp_path / "unpacked", tmp_path / "given"
    old = unpacked / "usr/lib/raspi-firmware"
    for folder, day in ((old, "Apr 17 2024"), (given, "Feb  3 2025")):
        folder.mkdir(parents=True)
        for name in ("start4.elf", "fixup4.dat", "start.elf"):
            (folder / name).write_bytes(
                b"\0VC_BUILD_ID_TIME: 17:27:09\0VC_BUILD_ID_TIME: %b\0" % day.encode()
            )
    out = tmp_path / "out"
    out.mkdir()
    boot_stage._lay_raspberry_pi(unpacked, out, "")
    assert "start4.elf is of 2024-04-17" in capsys.readouterr().out
    boot_stage.take_first_stages(given, unpacked)
    boot_stage._lay_raspberry_pi(unpacked, out, "")
    assert capsys.readouterr().out == ""
    assert (out / "start4.elf").read_bytes() == (given / "start4.elf").read_bytes()
    listed = list(sbom.first_stages(unpacked / boot_stage.FIRST_STAGES))
    assert [part.name for part in listed] == ["fixup4.dat", "start.elf", "start4.elf"]
    (given / "fixup4.dat").unlink()
    with pytest.raises(ValueError, match=r"fixup4\.dat"):
        boot_stage.take_first_stages(given, tmp_path)


def test_first_stages_are_taken_from_a_later_package_of_debian_s(tmp_path):
    unpacked, later = tmp_path / "unpacked", tmp_path / "later"
    old = unpacked / "usr/lib/raspi-firmware"
    (unpacked / "control/raspi-firmware").mkdir(parents=True)
    for folder, made in ((old, "old"), (later / "usr/lib/raspi-firmware", "new")):
        folder.mkdir(parents=True)
        for name in ("start4.elf", "fixup4.dat"):
            (folder / name).write_text(made)
    (old / "start_of_the_release.elf").write_text("old")
    (later / "DEBIAN").mkdir()
    (later / "DEBIAN/control").write_text(
        "Package: raspi-firmware\nVersion: 1.20260408\nArchitecture: all\n"
        "Maintainer: nobody <nobody@example.org>\nDescription: first stages\n"
    )
    package = tmp_path / "raspi-firmware_1.20260408_all.deb"
    run.run("dpkg-deb", "--build", later, package, is_quiet=True)
    boot_stage.take_first_stages(package, unpacked)
    assert {file.name: file.read_text() for file in old.iterdir()} == {
        "start4.elf": "new",
        "fixup4.dat": "new",
    }
    assert "1.20260408" in (unpacked / "control/raspi-firmware/control").read_text()
    assert list(sbom.first_stages(unpacked / boot_stage.FIRST_STAGES)) == []


@pytest.fixture
def pi_kernel(tmp_path):
    """What is unpacked of a Raspberry Pi's kernel, as Debian lays it from Linux 7 on."""
    modules = tmp_path / "unpacked/usr/lib/modules/7.3.4"
    trees = modules / "dtb/broadcom"
    trees.mkdir(parents=True)
    (modules / "vmlinuz").write_bytes(b"kernel")
    for name in ("bcm2711-rpi-4-b", "bcm2711-rpi-cm4-io", "bcm2712-rpi-5-b", "bcm2712-d-rpi-5-b"):
        (trees / f"{name}.dtb").write_bytes(name.encode())
    (trees / "imx8.dtb").write_bytes(b"of another board")
    link = tmp_path / "unpacked/usr/lib/linux-image-7.3.4"
    link.symlink_to("modules/7.3.4/dtb")
    firmware = tmp_path / "unpacked/usr/lib/raspi-firmware"
    firmware.mkdir()
    (firmware / "start4.elf").write_bytes(b"VC_BUILD_ID_TIME: Feb  3 2025")
    return tmp_path / "unpacked"


def test_a_slot_of_a_raspberry_pi_holds_the_device_trees_by_the_firmware_s_names(
    pi_kernel, tmp_path
):
    out = tmp_path / "out"
    out.mkdir()
    boot_stage._lay_raspberry_pi(pi_kernel, out, "cgroup_enable=memory")
    assert kernel.image_of(pi_kernel).read_bytes() == b"kernel"
    trees = {file.name: file.read_bytes() for file in out.glob("*.dtb")}
    assert trees["bcm2711-rpi-cm4.dtb"] == b"bcm2711-rpi-cm4-io"
    assert trees["bcm2712d0-rpi-5-b.dtb"] == b"bcm2712-d-rpi-5-b"
    assert {"bcm2711-rpi-4-b.dtb", "bcm2712-rpi-5-b.dtb"} <= trees.keys()
    assert "imx8.dtb" not in trees
    words = (out / "cmdline-pi5.txt").read_text().split()
    assert [word for word in words if word.startswith("console=")][-1] == "console=ttyAMA10,115200"
    assert words[-1] == "cgroup_enable=memory"


def test_only_a_trial_s_kernel_is_under_the_firmware_s_watchdog():
    """In the kept system a watchdog that nobody takes would be a restart again and again."""
    told = configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None)
    text = (parts.IMAGE_BUILD / "boot/config.txt").read_text()
    told.read_string("[all]\n" + text.replace("initramfs initramfs", "initramfs=initramfs"))
    timeouts = {name: told[name].get("kernel_watchdog_timeout") for name in told.sections()}
    assert timeouts == {"all": None, "pi5": None, "tryboot": "300"}
    assert told["pi5"]["cmdline"] == "cmdline-pi5.txt"


def test_our_module_lies_beside_the_kernel_s_is_kept_and_loaded_and_named(tmp_path):
    made, source, root = tmp_path / "made", tmp_path / "7.3.4", tmp_path / "root"
    made.mkdir()
    (made / "poleside_firmware.ko").write_bytes(b"module")
    source.mkdir()
    kernel.lay_module(made, source)
    (source / "modules.dep").write_text("updates/poleside_firmware.ko:\nkernel/sound/big.ko:\n")
    assert boot_stage.wanted_modules(source) == ["updates/poleside_firmware.ko"]
    laid = root / "usr/lib/modules/7.3.4"
    kernel.load_at_boot(laid, root)
    assert not (root / "etc").exists()  # a board without it
    shutil.copytree(source, laid)
    kernel.load_at_boot(laid, root)
    loaded = root / "etc/modules-load.d/poleside-firmware.conf"
    assert loaded.read_text() == "poleside_firmware\n"
    (part,) = sbom.own_module(root, "1.2.0")
    assert (part.name, part.version, part.licences) == (
        "poleside_firmware",
        "1.2.0",
        ("GPL-2.0-only",),
    )
    source_text = (kernel.SOURCE / "poleside_firmware.c").read_text()
    assert f"SPDX-License-Identifier: {kernel.LICENCE}" in source_text


def test_a_boot_partition_is_the_same_bits_wherever_it_is_made(tmp_path):
    made = []
    for name in ("one", "another"):
        files = tmp_path / name / "files"
        (files / "EFI/BOOT").mkdir(parents=True)
        (files / "EFI/BOOT/BOOTAA64.EFI").write_bytes(b"MZ" * 2000)
        (files / "a long name.dtb").write_bytes(b"dtb")
        made.append(tmp_path / name / "boot.img")
        boot_stage.fat_image(files, made[-1], 8 * layout.MIB, "BOOT")
    assert made[0].read_bytes() == made[1].read_bytes()
    listed = subprocess.run(
        ["mdir", "-/", "-b", "-i", str(made[0])],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert "::/EFI/BOOT/BOOTAA64.EFI" in listed.stdout
    assert "::/a long name.dtb" in listed.stdout


def test_data_grows_to_the_end_of_the_medium_and_nothing_else_moves(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", PATH)
    image = tmp_path / "medium.img"
    sizes = layout.Sizes(boot_mib=4, system_mib=8, data_mib=8)
    medium.assemble(image, {}, "virt", sizes)

    def table():
        told = subprocess.run(
            ["sfdisk", "--json", str(image)], capture_output=True, check=True, env=environment()
        )
        return json.loads(told.stdout)["partitiontable"]["partitions"]

    before = table()
    os.truncate(image, 256 * layout.MIB)
    grow.stretch(str(image), "6")
    after = table()
    assert after[:5] == before[:5]
    assert [after[5][key] for key in ("start", "uuid", "name")] == [
        before[5][key] for key in ("start", "uuid", "name")
    ]
    end = (after[5]["start"] + after[5]["size"]) * 512
    assert 254 * layout.MIB < end < 256 * layout.MIB
    grow.stretch(str(image), "6")  # again, as after a power cut
    assert table() == after


def test_nothing_of_one_machine_is_in_an_image(tmp_path):
    for name in ("etc/ssh/ssh_host_ed25519_key", "etc/machine-id", "etc/shadow-", "var/log/x.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("of the builder")
    (tmp_path / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    tree.make_nobody(tmp_path)
    assert list((tmp_path / "etc/ssh").iterdir()) == []
    assert (tmp_path / "etc/machine-id").read_bytes() == b""
    assert not (tmp_path / "etc/shadow-").exists()
    assert (tmp_path / "etc/resolv.conf").is_symlink()


def test_the_builders_folders_are_forgotten(tmp_path):
    info = tmp_path / "poleside-1.dist-info"
    info.mkdir()
    (info / "direct_url.json").write_text('{"url": "file:///srv/checkout"}')
    (info / "RECORD").write_text(
        "../../bin/f2py,sha256=z,3\na.py,sha256=x,1\n"
        "poleside-1.dist-info/direct_url.json,sha256=y,2\n"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/f2py").write_text("#!/srv/checkout/.venv/bin/python\n")
    tree.forget_where(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [info.name]
    assert [path.name for path in info.iterdir()] == ["RECORD"]
    assert (info / "RECORD").read_text() == "a.py,sha256=x,1\n"


def test_the_parts_list_names_every_part_its_version_and_licence(tmp_path):
    root, unpacked = tmp_path / "root", tmp_path / "unpacked"
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text(
        "Package: chrony\nStatus: install ok installed\nArchitecture: arm64\nVersion: 4.6-1+b1\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n"
    )
    control = unpacked / "control/busybox-static"
    control.mkdir(parents=True)
    (control / "control").write_text(
        "Package: busybox-static\nVersion: 1:1.37\nArchitecture: arm64\n"
    )
    document = unpacked / "usr/share/doc/busybox-static/copyright"
    document.parent.mkdir(parents=True)
    document.write_text("Files: *\nLicense: GPL-2\n\nFiles: x\nLicense: BSD-3-clause\n")
    metadata = root / "opt/poleside/lib/zeep-4.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Name: Zeep\nVersion: 4\nClassifier: License :: OSI Approved :: MIT\n\nx\n")
    sbom.lay(root, unpacked, "1.2.0")

    folder = root / sbom.FOLDER
    made = json.loads((folder / "sbom.cdx.json").read_text())
    assert [made["bomFormat"], made["specVersion"]] == ["CycloneDX", "1.5"]
    assert made["metadata"]["component"]["version"] == "1.2.0"
    assert [part["purl"] for part in made["components"]] == [
        "pkg:deb/debian/busybox-static@1%3A1.37?arch=arm64",
        "pkg:deb/debian/chrony@4.6-1%2Bb1?arch=arm64",
        "pkg:pypi/zeep@4",
    ]
    assert (folder / "licences.txt").read_text() == (
        "busybox-static 1:1.37: BSD-3-clause, GPL-2\n"
        "chrony 4.6-1+b1: see its copyright file\n"
        "zeep 4: MIT\n"
    )
    assert (root / "usr/share/doc/busybox-static/copyright").exists()  # travels with the program
    shutil.rmtree(folder)
    sbom.lay(root, unpacked, "1.2.0")
    assert json.loads((folder / "sbom.cdx.json").read_text()) == made


def test_the_parts_list_names_the_files_of_others_among_the_agent_s_own(tmp_path):
    tree_of_project = Path(agent.__file__).parents[1]
    kinds = ("*.min.js", "*.tflite", "*.onnx", "*.ttf", "*.woff2")
    lying = {path for kind in kinds for path in (tree_of_project / "agent").rglob(kind)}
    assert {str(path.relative_to(tree_of_project)) for path in lying} == sbom.OTHERS_FILES.keys()

    listed = sbom.cyclonedx(sorted(sbom.others_files(tree_of_project)), "1.2.0")["components"]
    htmx = next(part for part in listed if part["name"] == "htmx.org")
    text = (tree_of_project / "agent/local/web/static/htmx.LICENSE.txt").read_text()
    assert f"htmx {htmx['version']} " in text
    assert htmx["hashes"][0]["content"] in text
    assert (htmx["purl"], htmx["licenses"][0]["license"]["name"]) == (
        f"pkg:npm/htmx.org@{htmx['version']}",
        "0BSD",
    )
    assert len(listed) == len(sbom.OTHERS_FILES)
    assert all(len(part["hashes"][0]["content"]) == 64 for part in listed)

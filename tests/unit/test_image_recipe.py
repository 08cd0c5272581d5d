"""The recipe: partitions fit and are the same in every build, lists are sound, wheels pinned."""

import configparser
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from poleside_image.boot_choice import FIRST, PARTITION_OF, to_sector
from poleside_image.boot_sector import BootSector
from poleside_recipe import (
    fat16,
    image,
    kernel,
    later,
    layout,
    lock_wheels,
    medium,
    parts,
    run,
    tree,
)

PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
VARIANTS = [parts.Variant(suite, board) for suite in parts.SUITES for board in parts.BOARDS]
SMALL = layout.Sizes(boot_mib=4, system_mib=8, data_mib=8)


def test_the_boot_choice_and_the_table_count_alike():
    table = layout.partitions()
    for slot, number in PARTITION_OF.items():
        assert table[number - 1].name == f"boot_{slot}"
    named = (parts.IMAGE_BUILD / "rootfs/etc/rauc/system.conf").read_text()
    for part in table[1:5]:
        assert f"by-partlabel/{part.name}\n" in named


@pytest.mark.parametrize("sizes", [layout.Sizes(), SMALL, layout.Sizes(boot_mib=65)])
def test_partitions_touch_nobody_and_both_slots_are_alike(sizes):
    table = layout.partitions(sizes)
    ends = [part.start_bytes + part.size_bytes for part in table]
    assert all(end <= later.start_bytes for end, later in zip(ends, table[1:], strict=False))
    assert all(part.start_bytes % (4 * layout.MIB) == 0 for part in table)
    assert layout.medium_bytes(table) >= ends[-1] + 33 * layout.SECTOR_BYTES
    by_name = {part.name: part.size_bytes for part in table}
    assert by_name["boot_a"] == by_name["boot_b"]
    assert by_name["system_a"] == by_name["system_b"]
    assert len({part.identity for part in table}) == len(table)


def test_the_script_says_what_the_table_says():
    table = layout.partitions()
    rows = re.findall(r"start=(\d+), size=(\d+), .*name=\"(\w+)\"", layout.sfdisk_script(table))
    found = [(name, int(start) * 512, int(size) * 512) for start, size, name in rows]
    assert found == [(part.name, part.start_bytes, part.size_bytes) for part in table]


def test_two_media_are_the_same_bits_and_boot_slot_a(tmp_path):
    root = tmp_path / "root.erofs"
    root.write_bytes(b"root" * 1024)
    made = []
    for name in ("one", "two"):
        target = tmp_path / name / "medium.img"
        target.parent.mkdir()
        choice = image.choice_image(target.parent / "bootcfg", None)
        medium.assemble(
            target, {"bootcfg": choice, "system_a": root, "system_b": root}, "virt", SMALL
        )
        made.append(target)
    assert made[0].read_bytes() == made[1].read_bytes()

    table = {part.name: part for part in layout.partitions(SMALL)}
    told = subprocess.run(
        [shutil.which("sfdisk", path=PATH), "--json", str(made[0])],
        capture_output=True,
        check=True,
    )
    seen = json.loads(told.stdout)["partitiontable"]["partitions"]
    assert [part["name"] for part in seen] == list(table)
    assert [part["uuid"] for part in seen] == [part.identity for part in table.values()]
    whole = made[0].read_bytes()
    for name in ("system_a", "system_b"):
        assert whole[table[name].start_bytes :].startswith(root.read_bytes())
    choice = tmp_path / "bootcfg.img"
    start = table["bootcfg"].start_bytes
    choice.write_bytes(whole[start : start + table["bootcfg"].size_bytes])
    assert BootSector(choice).read() == FIRST


def test_a_root_too_large_for_its_slot_is_refused(tmp_path):
    root = tmp_path / "root.erofs"
    root.write_bytes(bytes(2 * layout.MIB))
    with (tmp_path / "medium").open("w+b") as target, pytest.raises(ValueError, match="not fit"):
        medium.place(target, root, layout.Partition("system_a", layout.ROOT_ARM64, 0, layout.MIB))


def test_the_boot_choice_partition_is_a_sound_fat():
    whole = fat16.bootcfg(32 * layout.MIB, to_sector(FIRST))
    assert len(whole) == 32 * layout.MIB
    per_cluster, reserved, fats = whole[13], int.from_bytes(whole[14:16], "little"), whole[16]
    fat_sectors = int.from_bytes(whole[22:24], "little")
    data = reserved + fats * fat_sectors + 32
    clusters = (len(whole) // 512 - data) // per_cluster
    assert 4085 <= clusters < 65_525  # else it is no FAT16, whatever it calls itself
    assert fat_sectors * 256 >= clusters + 2
    first = whole[reserved * 512 : (reserved + fat_sectors) * 512]
    assert whole[(reserved + fat_sectors) * 512 :].startswith(first)
    with pytest.raises(ValueError, match="17 to 256"):
        fat16.bootcfg(layout.MIB, to_sector(FIRST))


@pytest.mark.parametrize("suite", parts.SUITES)
def test_the_lists_hold_what_the_parts_need(suite):
    packages = parts.packages(suite)
    assert {"rauc", "nftables", "chrony", "polkitd", "systemd-resolved"} <= set(packages)
    unpacked = parts.boot_packages(suite, parts.BOARDS)
    assert {"linux-image-arm64", "busybox-static", "e2fsck-static"} <= set(unpacked)
    assert not {"linux-image-arm64"} & set(packages)  # its scripts would run under emulation
    for package in [*packages, *unpacked]:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", package)


def test_a_base_is_known_by_all_it_is_made_of(tmp_path):
    folder = tmp_path / "packages"
    shutil.copytree(parts.IMAGE_BUILD / "packages", folder)
    assert len({parts.base_key(suite, "sources", folder) for suite in parts.SUITES}) == 2
    key = parts.base_key("trixie", "sources", folder)
    assert key == parts.base_key("trixie", "sources", folder)
    assert key != parts.base_key("trixie", "a later snapshot", folder)
    for name in ("common", "boot-rpi"):
        before = parts.base_key("trixie", "sources", folder)
        (folder / f"{name}.list").write_text((folder / f"{name}.list").read_text() + "jq\n")
        assert before != parts.base_key("trixie", "sources", folder)


RELEASE = "deb [signed-by=/k] https://mirror.example/debian trixie main\n"
BACKPORTS = "deb [signed-by=/k] https://mirror.example/debian trixie-backports main\n"
FORKY = "deb [signed-by=/k] https://mirror.example/debian forky main\n"


def test_a_board_s_own_kernel_is_asked_for_and_leaves_the_base_alone():
    pi, virt = parts.Variant("trixie", "rpi"), parts.Variant("trixie", "virt")
    assert kernel.package(pi) == "linux-image-arm64"
    assert [kernel.package(each) for each in (virt, parts.Variant("bookworm", "rpi"))] == [None] * 2
    assert kernel.is_at_hand(pi, RELEASE + BACKPORTS)
    assert not kernel.is_at_hand(pi, f"{RELEASE}# {BACKPORTS}")
    assert kernel.is_at_hand(virt, RELEASE)
    assert image.without_backports(RELEASE + BACKPORTS) == RELEASE
    assert kernel.key(pi, RELEASE + BACKPORTS) == kernel.key(pi, BACKPORTS)
    assert kernel.key(pi, BACKPORTS) != kernel.key(pi, BACKPORTS.replace("mirror", "snapshot"))


def test_a_board_s_later_packages_are_asked_for_and_reach_neither_base_nor_kernel():
    pi, virt = parts.Variant("trixie", "rpi"), parts.Variant("trixie", "virt")
    assert {"rauc/forky", "rauc-service/forky"} <= set(later.packages(pi))
    none = [later.packages(each) for each in (virt, parts.Variant("bookworm", "rpi"))]
    assert none == [[], []]
    assert later.not_at_hand(pi, RELEASE + BACKPORTS) == ["forky"]
    assert later.not_at_hand(pi, f"{RELEASE}# {FORKY}") == ["forky"]
    assert later.not_at_hand(pi, RELEASE + FORKY) == []
    assert later.not_at_hand(virt, RELEASE) == []
    assert later.left_out(RELEASE + BACKPORTS + FORKY) == RELEASE + BACKPORTS
    assert later.key(pi, RELEASE + FORKY) == later.key(pi, FORKY)
    assert later.key(pi, FORKY) != later.key(pi, FORKY.replace("mirror", "snapshot"))
    assert kernel.key(pi, BACKPORTS + FORKY) == kernel.key(pi, BACKPORTS)


def published(folder, names):
    """Lay packages that all need one more into an archive of forky's; returns its line."""
    index = ""
    for name in [*names, "needed-too"]:
        control = f"Package: {name}\nVersion: 9.1\nArchitecture: all\nMaintainer: nobody <a@b.c>\n"
        control += "" if name == "needed-too" else "Depends: needed-too\n"
        source, package = folder / f"source/{name}", folder / f"{name}_9.1_all.deb"
        (source / "DEBIAN").mkdir(parents=True)
        (source / "DEBIAN/control").write_text(control + "Description: a trial's\n")
        run.run("dpkg-deb", "--build", source, package, is_quiet=True)
        whole = package.read_bytes()
        index += f"{control}Filename: {package.name}\nSize: {len(whole)}\n"
        index += f"SHA256: {hashlib.sha256(whole).hexdigest()}\nDescription: a trial's\n\n"
    listed = folder / "dists/forky/main/binary-arm64/Packages"
    listed.parent.mkdir(parents=True)
    listed.write_text(index)
    told = f"{hashlib.sha256(index.encode()).hexdigest()} {len(index)} main/binary-arm64/Packages"
    release = f"Codename: forky\nArchitectures: arm64\nComponents: main\nSHA256:\n {told}\n"
    (folder / "dists/forky/Release").write_text(release)
    return f"deb [trusted=yes] file:{folder} forky main\n"


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get here")
def test_of_a_later_debian_nothing_comes_but_what_is_named(tmp_path):
    pi = parts.Variant("trixie", "rpi")
    names = [each.split("/")[0] for each in later.packages(pi)]
    sources = tmp_path / "sources.list"
    sources.write_text(RELEASE + published(tmp_path / "archive", names))  # RELEASE answers nobody
    folder = later.fetched(pi, tmp_path / "cache", sources)
    assert {file.name for file in folder.iterdir()} == {f"{name}_9.1_all.deb" for name in names}
    shutil.rmtree(tmp_path / "archive")
    assert later.fetched(pi, tmp_path / "cache", sources) == folder  # kept


def test_a_build_says_which_sources_of_its_board_are_missing(tmp_path):
    sources = tmp_path / "sources.list"
    sources.write_text(RELEASE)
    command = [sys.executable, "-m", "poleside_recipe.image", "--board", "rpi"]
    told = subprocess.run(
        [*command, "--sources", str(sources), "--out", str(tmp_path), "--cache", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=run.environment() | {"PYTHONPATH": str(parts.IMAGE_BUILD / "python")},
    )
    assert told.returncode == 1
    assert "missing here: trixie-backports: a line in SOURCES" in told.stdout
    assert "missing here: forky: a line in SOURCES" in told.stdout


@pytest.mark.parametrize(
    "variant", VARIANTS, ids=lambda variant: f"{variant.suite}-{variant.board}"
)
def test_the_parts_come_to_lie_where_the_units_expect_them(tmp_path, variant):
    tree.lay_parts(tmp_path, variant, "1.2.0", "1.1.0")
    release = json.loads((tmp_path / "usr/lib/poleside/release.json").read_text())
    assert [release["version"], release["floor"]] == ["1.2.0", "1.1.0"]
    for unit in (tmp_path / "etc/systemd/system").glob("poleside-*.service"):
        for program in re.findall(r"(?m)^ExecStart=(/usr/lib/poleside/\w+)", unit.read_text()):
            assert (tmp_path / program[1:]).stat().st_mode & 0o111
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants/poleside.service"
    assert str(wants.readlink()) == "/etc/systemd/system/poleside.service"
    timer = tmp_path / "etc/systemd/system/timers.target.wants/poleside-smart.timer"
    assert str(timer.readlink()) == "/etc/systemd/system/poleside-smart.timer"
    assert (tmp_path / "etc/systemd/system/poleside-smart.timer").exists()
    assert str((tmp_path / "etc/systemd/system/ssh.service").readlink()) == "/dev/null"
    rauc = configparser.ConfigParser()
    rauc.read(tmp_path / "etc/rauc/system.conf")
    assert rauc["system"]["compatible"] == f"poleside-{variant.board}"
    assert ("min-bundle-version" in rauc["system"]) is (variant.suite == "trixie")
    told = tmp_path / "etc/systemd/system/rauc.service.d/slot.conf"
    assert told.exists() is (variant.suite == "bookworm")  # later ones ask the backend
    devices = tmp_path / "etc/systemd/system/poleside-slot.service.d/devices.conf"
    assert devices.exists() is (variant.suite == "bookworm")
    assert (devices.parents[1] / "service.d/devices.conf").exists() is devices.exists()
    python = tmp_path / "usr/lib/poleside/python"
    told = subprocess.run(
        [sys.executable, "-S", "-m", "poleside_image.bootctl"],
        env={"PYTHONPATH": str(python), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )  # -S: nothing but the standard library
    assert told.stderr.startswith("bootctl: one of get-primary")


def test_rauc_understands_its_file(tmp_path):
    tree.lay_parts(tmp_path, parts.Variant("bookworm", "virt"), "1.2.0", "1.1.0")
    config = tmp_path / "system.conf"
    text = (tmp_path / "etc/rauc/system.conf").read_text()
    config.write_text(
        text.replace("/etc/rauc", str(tmp_path)).replace("/data/image", str(tmp_path))
    )
    done = subprocess.run(
        ["rauc", f"--conf={config}", "info", str(tmp_path / "none.raucb")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "system config" not in done.stderr + done.stdout


def test_a_root_is_the_same_bits_and_a_small_change_a_small_difference(tmp_path):
    source = tmp_path / "root"
    tree.lay_parts(source, parts.Variant("trixie", "virt"), "1.2.0", "1.1.0")
    for number in range(40):  # what every compressor must move about when something grows
        (source / f"usr/lib/{number:02}.py").write_text(f"value = {number}\n" * 3000)
    identity = layout.partitions()[3].identity.lower()
    built = [tmp_path / name for name in ("one", "two", "changed")]
    image.root_image(source, built[0], identity)
    image.root_image(source, built[1], identity)
    (source / "usr/lib/07.py").write_text("value = 'another'\n" * 3000)
    image.root_image(source, built[2], identity)
    one, two, changed = (
        [whole[at : at + 4096] for at in range(0, len(whole), 4096)]
        for whole in (path.read_bytes() for path in built)
    )
    assert one == two
    assert 0 < len(set(changed) - set(one)) <= len(one) // 4


def test_a_lock_pins_every_distribution_by_version_and_hash():
    def item(name, version, digest):
        return {
            "metadata": {"name": name, "version": version},
            "download_info": {"archive_info": {"hashes": {"sha256": digest}}},
        }

    reports = [{"install": [item("Zeep", "4.3.3", "b" * 64), item("av", "18.1.0", "a" * 64)]}]
    assert lock_wheels.lock_text(reports) == (
        f"av==18.1.0 --hash=sha256:{'a' * 64}\nzeep==4.3.3 --hash=sha256:{'b' * 64}\n"
    )


def test_what_comes_as_source_is_locked_apart():
    project = parts.IMAGE_BUILD.parent / "pyproject.toml"
    binary, source = lock_wheels.wanted(project, "trixie")
    assert [need.split(">")[0] for need in source] == ["onvif-zeep"]
    assert any(need.startswith("av>") for need in binary)


@pytest.mark.parametrize("suite", parts.SUITES)
def test_the_committed_lock_covers_what_the_agent_needs(suite):
    lock = parts.IMAGE_BUILD / f"wheels/{suite}.txt"
    lines = parts.entries(lock)
    assert all(re.fullmatch(r"[a-z0-9.-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    pinned = {line.split("==")[0] for line in lines}
    binary, source = lock_wheels.wanted(parts.IMAGE_BUILD.parent / "pyproject.toml", suite)
    assert set(parts.ENGINES.values()) & pinned == {parts.ENGINES[suite]}  # one engine an image
    assert {re.split(r"[<>=]", need)[0] for need in [*binary, *source]} <= pinned


def test_make_image_says_plainly_what_is_missing(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(run, "SBIN", "/nowhere")
    monkeypatch.setattr(sys, "argv", ["image", "--check"])
    assert image.main() == 0
    said = capsys.readouterr().out
    for name in [*image.TOOLS, *image.VERIFY_TOOLS]:
        assert f"missing here: {name} (Debian package " in said
    assert Path("/nowhere").exists() is False

"""What goes into an image: Debian packages by list, wheels by hash, units by name."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

IMAGE_BUILD = Path(__file__).parents[2]
SUITES = {"trixie": "3.13", "bookworm": "3.11"}  # Debian and its Python
_GLIBC = {  # what the release's own takes, newest first
    "trixie": ("2_41", "2_39", "2_36", "2_35", "2_34", "2_31", "2_28", "2_27", "2_26", "2_17"),
    "bookworm": ("2_36", "2_35", "2_34", "2_31", "2_28", "2_27", "2_26", "2_24", "2_17"),
}
# Who runs the detector's models: tflite-runtime has wheels up to Python 3.11 alone.
ENGINES = {"trixie": "ai-edge-litert", "bookworm": "tflite-runtime"}
BOARDS = ("virt", "rpi")
ENABLED = {
    "sysinit.target": ("poleside-slot.service",),
    "multi-user.target": (
        "poleside.service",
        "poleside-grow.service",
        "poleside-provision.service",
        "poleside-label.service",
        "poleside-trial.service",
        "poleside-update.path",
        "poleside-export.path",
        "poleside-network.path",
        "poleside-shell.path",
        "poleside-shell.service",
        "poleside-network-boot.service",
        "nftables.service",
        "systemd-networkd.service",
        "systemd-resolved.service",
        "chrony.service",
    ),
    "timers.target": ("poleside-smart.timer",),
    "sockets.target": ("systemd-networkd.socket",),
    "local-fs.target": ("tmp.mount",),  # /tmp on a read-only root stops half of systemd
}
MASKED = (  # nothing of it makes sense on a read-only root nobody sits at
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "man-db.timer",
    "serial-getty@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "smartmontools.service",
    "ssh.service",
    "ssh.socket",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-machine-id-commit.service",
    "systemd-timesyncd.service",
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One image: a Debian release on a board."""

    suite: str
    board: str

    def __post_init__(self) -> None:
        if self.suite not in SUITES or self.board not in BOARDS:
            raise ValueError(f"suites are {', '.join(SUITES)}; boards are {', '.join(BOARDS)}")

    @property
    def python(self) -> str:
        return SUITES[self.suite]


def entries(path: Path) -> list[str]:
    """Return the entries of a list file without its comments."""
    lines = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def packages(suite: str, folder: Path = IMAGE_BUILD / "packages") -> list[str]:
    """Return the Debian packages that are installed, on every board; sorted, each once."""
    return sorted({entry for name in ("common", suite) for entry in _listed(folder, name)})


def boot_packages(
    suite: str, boards: Iterable[str], folder: Path = IMAGE_BUILD / "packages"
) -> list[str]:
    """Return the packages that are only unpacked: kernel, boot loaders, boards' firmware."""
    names = [
        "boot",
        *(name for board in boards for name in (f"boot-{board}", f"boot-{board}-{suite}")),
    ]
    there = [name for name in names if (folder / f"{name}.list").exists()]
    return sorted({entry for name in there for entry in _listed(folder, name)})


def _listed(folder: Path, name: str) -> list[str]:
    return entries(folder / f"{name}.list")


def base_key(suite: str, sources: str, folder: Path = IMAGE_BUILD / "packages") -> str:
    """Return what names the cached base: the same packages from the same sources are one base."""
    lists = [*packages(suite, folder), *_listed(folder, "base-exclude")]
    text = "\n".join([suite, sources, *lists, *boot_packages(suite, BOARDS, folder)])
    return f"{suite}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def for_the_box(suite: str) -> list[str]:
    """Return what tells pip that it works for arm64 and the release's Python and glibc."""
    told = ["--only-binary=:all:", "--python-version", SUITES[suite]]
    for glibc in _GLIBC[suite]:
        told += ["--platform", f"manylinux_{glibc}_aarch64"]
    return [*told, "--platform", "manylinux2014_aarch64"]


def wheel_lock(variant: Variant) -> Path:
    return IMAGE_BUILD / "wheels" / f"{variant.suite}.txt"

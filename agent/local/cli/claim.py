"""`poleside claim`: the secret on a box's label, and the code that shows somebody is there."""

from pathlib import Path

import click

from agent.local.cli.answer import json_option, show

DATA_DIR = Path("/var/lib/poleside")
SERVICE_ADDRESS = "https://10.77.1.1:8470"  # of the image's service port


@click.group()
def claim() -> None:
    """Take a box over: its secret on the label, and being there in person.

    \b
    When boxes are made:   poleside claim labels SHEET --count 12
    For one without any:   poleside claim secret
    At its console:        poleside claim code
    """


@claim.command()
@click.option("--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True)
@click.option("--config", type=click.Path(path_type=Path), help="The box's settings file.")
@json_option
def secret(data_dir: Path, config: Path | None, *, as_json: bool) -> None:
    """Make the box's secret and show it once, for its QR label; only a check of it is kept.

    The label holds the page's address with the secret behind a #, which no browser sends:
    https://ADDRESS:8470/claim#SECRET. An older secret is worth nothing from then on.
    """
    from agent.buffer.claim import SERVICE_BOOK
    from agent.local.access.claim import make_secret
    from agent.local.cli.audited import note

    folder = _folder(data_dir, config)
    text = make_secret(folder, SERVICE_BOOK if folder == DATA_DIR else None)
    note(folder, "claim.secret")
    show({"secret": text}, [text], as_json=as_json)


@claim.command()
@click.option("--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True)
@click.option("--config", type=click.Path(path_type=Path), help="The box's settings file.")
@json_option
def code(data_dir: Path, config: Path | None, *, as_json: bool) -> None:
    """Show a code that is good once, for ten minutes: in place of the claim button."""
    from msgspec.structs import replace

    from agent.app.run_dir import run_dir
    from agent.core.clock import SystemClock
    from agent.core.errors import StorageError
    from agent.local.access.certificate import fingerprint
    from agent.local.access.claim import make_code
    from agent.local.cli.audited import note
    from agent.settings.model import Settings

    folder = _folder(data_dir, config)
    if not folder.is_dir():
        raise StorageError(
            "storage.not_writable",
            f"There is no data folder {folder}.",
            hint="Give the agent's with --config or --data-dir.",
        )
    try:
        text = make_code(run_dir(replace(Settings(), data_dir=str(folder))), SystemClock())
    except OSError as error:
        raise StorageError(
            "storage.not_writable",
            f"The code can't be stored: {error.strerror}.",
            hint="Run as the agent's user.",
        ) from error
    note(folder, "claim.code")
    certificate = folder / "keys" / "page-cert.pem"
    sha256 = fingerprint(certificate) if certificate.exists() else ""
    show({"code": text, "certificate_sha256": sha256}, [text], as_json=as_json)
    if sha256:
        click.echo(f"The page's certificate, SHA-256: {sha256}", err=True)


@claim.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1, 999), default=1, show_default=True)
@click.option("--address", default=SERVICE_ADDRESS, show_default=True, help="The boxes' page.")
@json_option
def labels(folder: Path, count: int, address: str, *, as_json: bool) -> None:
    """Make labels before the boxes are: FOLDER/labels.html to print, and a file for each box.

    FOLDER/001/label.txt goes on the stick, labelled POLESIDE, of the first boot of one box and of
    no other; it is what the QR code says. Keep the folder as safe as keys, and delete it once the
    boxes are claimed.
    """
    from agent.core.errors import StorageError
    from agent.local.access.claim import new_secret
    from agent.local.access.label import label_of, sheet

    made = [(f"{number:03}", label_of(new_secret(), address)) for number in range(1, count + 1)]
    try:
        folder.mkdir(mode=0o700)  # never over an older one's secrets
        for name, label in made:
            (folder / name).mkdir(mode=0o700)
            _secretly(folder / name / "label.txt", f"{label}\n")
        _secretly(folder / "labels.html", sheet(made))
    except OSError as error:
        raise StorageError(
            "storage.not_writable",
            f"The labels can't be stored in {folder}: {error.strerror}.",
            hint="Name a folder that is not there yet.",
        ) from error
    page = str(folder / "labels.html")
    show({"sheet": page, "labels": count}, [page], as_json=as_json)


@claim.command()
def qr() -> None:
    """Draw the QR code of a label that is typed in, for a dark terminal.

    \b
    poleside claim qr < label.txt
    """
    import sys

    from agent.local.access.label import drawn, found_in

    click.echo(drawn(found_in(sys.stdin.read(4096))))


def _secretly(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")


def _folder(data_dir: Path, config: Path | None) -> Path:
    from agent.local.cli.present_settings import present

    return Path(present(config).data_dir) if config else data_dir

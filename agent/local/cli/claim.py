"""`poleside claim`: the secret on a box's label, and the code that shows somebody is there."""

from pathlib import Path

import click

from agent.local.cli.answer import json_option, show

DATA_DIR = Path("/var/lib/poleside")


@click.group()
def claim() -> None:
    """Take a box over: its secret on the label, and being there in person.

    \b
    When the box is made:  poleside claim secret
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


def _folder(data_dir: Path, config: Path | None) -> Path:
    from agent.settings.in_effect import load

    return Path(load(config).data_dir) if config else data_dir

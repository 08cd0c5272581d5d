"""`poleside report make|verify`: the acceptance report, signed by the box, sent to its center."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.local.cli.answer import json_option
from agent.local.cli.audited import local_user, note
from agent.local.cli.box_in_reach import Box, box_options
from agent.local.cli.spoken import lang_option

if TYPE_CHECKING:
    from agent.local.report.facts import ReportFacts

TYPE = "poleside-report+jws"
HTML, PDF, SEAL = "report.html", "report.pdf", "report.jws"


@click.group()
def report() -> None:
    """Make the acceptance report of this pole, and check one.

    \b
    poleside report make --out report/ --lang ko --send
    poleside report verify report/ --box-key box.jwk.json
    """


@report.command(epilog="Exit code: 0; 1 when the agent does not run or nothing can be written.")
@box_options
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
@lang_option
@click.option("--camera", "cameras", multiple=True, help="These cameras alone.")
@click.option("--by", default="", help="Who accepts; else the name you are logged in with.")
@click.option("--send", is_flag=True, help="Queue the PDF for the center; it goes when it can.")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def make(
    box: Box,
    out: Path,
    lang: str,
    cameras: tuple[str, ...],
    by: str,
    *,
    send: bool,
    as_json: bool,
) -> None:
    """Write HTML, PDF and the box's signature over both into a folder.

    Pictures of each camera, pixels a metre, tests made at the page, serials and firmware, gaps of
    24 hours, clock, versions. What is not known is said to be unknown. Needs the running agent.
    """
    from agent.core.clock import SystemClock
    from agent.local.cli.report_facts import gather
    from agent.local.report.render import html_of, pdf_of

    by = by or local_user()

    def tell(what: str) -> None:
        if not as_json:
            click.echo(f"Looking at {what} …", err=True)

    facts = gather(box, by, SystemClock(), tell, frozenset(cameras) or None)
    out.mkdir(parents=True, exist_ok=True)
    files = {HTML: html_of(facts, lang), PDF: pdf_of(facts, lang)}
    for name, content in files.items():
        (out / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    answer = {"folder": str(out), "sha256": digests, "key_id": _seal(box, facts, digests, out)}
    if send:
        answer["upload"] = _send(box, out / PDF, digests[PDF], by)
    else:
        note(box.data_dir, "report.make", by=by, detail=PDF, sha256=digests[PDF])
    if as_json:
        click.echo(json.dumps(answer))
        return
    for name, digest in digests.items():
        click.echo(f"{out / name}  sha256 {digest}")
    click.echo(f"Signed by key {answer['key_id']}: {out / SEAL}" if answer["key_id"] else _UNSIGNED)
    if send:
        click.echo("It waits for the center: `poleside uploads status`.")


_UNSIGNED = "NOT signed: the box has no key yet; the agent makes it when it first records."


@report.command(epilog="Exit code: 0 it is whole and signed by that key, 1 it is not.")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--box-key", required=True, type=click.Path(path_type=Path, exists=True))
@json_option
def verify(folder: Path, box_key: Path, *, as_json: bool) -> None:
    """Check a report's files against the box's signature and public key, without box or network."""
    import msgspec

    from agent.evidence.box_key import PublicKey
    from agent.evidence.jws import open_token

    key = msgspec.json.decode(box_key.read_bytes(), type=PublicKey)
    try:
        opened = open_token((folder / SEAL).read_bytes().strip())
        sealed = msgspec.json.decode(opened.payload)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise click.ClickException(f"{folder / SEAL} can't be read: {error}") from error
    wrong, seen = [], 0
    if not (opened.is_signed and opened.typ == TYPE and opened.key.fingerprint == key.fingerprint):
        wrong.append(f"{SEAL} is not signed by key {key.fingerprint}")
    for name, digest in sealed.get("sha256", {}).items():
        path = folder / name
        if path.is_file():
            seen += 1
            if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                wrong.append(f"{name} was changed")
    if not seen:
        wrong.append("no file of the report lies there")
    place = f"{sealed['facts']['site']}/{sealed['facts']['box']}"
    if as_json:
        click.echo(json.dumps({"is_whole": not wrong, "wrong": wrong, "place": place}))
    elif wrong:
        click.secho("\n".join(wrong), fg="red", err=True)
    else:
        click.echo(f"Whole: {place}, signed by the box.")
    sys.exit(1 if wrong else 0)


def _seal(box: Box, facts: ReportFacts, digests: dict[str, str], out: Path) -> str:
    """Sign the facts (pictures as their digests) and the files; return the key's fingerprint."""
    import msgspec

    from agent.core.errors import StorageError
    from agent.evidence.jws import sign
    from agent.evidence.key_store import load_box_key

    try:
        key = load_box_key(box.data_dir)
    except StorageError:
        return ""
    bare = [msgspec.structs.replace(one, picture=None) for one in facts.cameras]
    told = msgspec.structs.replace(facts, cameras=tuple(bare))
    payload = msgspec.json.encode({"facts": told, "sha256": digests})
    (out / SEAL).write_bytes(sign(TYPE, payload, key) + b"\n")
    return key.public.fingerprint


def _send(box: Box, pdf: Path, sha256: str, by: str) -> str:
    """Have the running agent send the file; the audit chain binds it by its SHA-256."""
    from agent.commands.questions import SendFile
    from agent.core.clock import SystemClock
    from agent.core.ids import new_ulid

    copy = box.data_dir / "uploads" / f"{new_ulid(SystemClock().utc_now())}.pdf"
    shutil.copyfile(pdf, copy)
    told = SendFile(str(copy), pdf.name, "application/pdf", sha256, "report.make", by)
    queued: dict[str, str] = box.ask(told, dict)
    return queued["upload"]

"""`poleside clip key` and `clip rotate-key`: the key a box signs its evidence with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from agent.local.cli.answer import always_json, json_option, show
from agent.local.cli.audited import local_user, note

_data_dir = click.option("--data-dir", type=click.Path(path_type=Path), default="/var/lib/poleside")


@click.command()
@_data_dir
@always_json
def key(data_dir: Path) -> None:
    """Print the box's public key (JWK) for those who check its clips.

    `handovers` are its earlier keys' words for it; `kind` says where the private half lies.
    """
    from agent.evidence.handover import read_handovers
    from agent.evidence.key_store import load_box_key

    made = load_box_key(data_dir)
    public = made.public
    jwk = {"kty": public.kty, "crv": public.crv, "x": public.x, "y": public.y}
    about = {"kid": public.fingerprint, "kind": made.kind, "handovers": read_handovers(data_dir)}
    click.echo(json.dumps(jwk | {"alg": "ES256", "use": "sig"} | about))


@click.command("rotate-key")
@_data_dir
@click.option("--to", "kind", type=click.Choice(["file", "tpm2"]), help="Else where it lies now.")
@click.option("--by", default="", help="Who orders it; else the name you are logged in with.")
@click.option("--reason", required=True, help="Why; it is signed and audited.")
@json_option
def rotate_key(data_dir: Path, kind: str | None, by: str, reason: str, *, as_json: bool) -> None:
    """Give the box a new key, signed for by the old one; the agent may be running.

    \b
    poleside clip rotate-key --reason "yearly change"
    poleside clip rotate-key --to tpm2 --reason "the board got a TPM"
    """
    from agent.core.clock import SystemClock
    from agent.evidence import key_store

    by = by or local_user()
    kept = key_store.load_box_key(data_dir).kind
    rotation = key_store.rotate_key(
        data_dir,
        SystemClock().utc_now(),
        "tpm2" if (kind or kept) == "tpm2" else "file",
        by,
        reason,
    )
    detail = (
        f"{rotation.old.public.fingerprint} to {rotation.new.public.fingerprint}"
        f" ({rotation.new.kind}): {reason}"
    )
    note(data_dir, "key.rotate", by=by, detail=detail)
    old, new = rotation.old.public.fingerprint, rotation.new.public.fingerprint
    show(
        {"old": old, "new": new, "kind": rotation.new.kind},
        [f"old key {old}, signed for its successor", f"new key {new} ({rotation.new.kind})"],
        as_json=as_json,
    )

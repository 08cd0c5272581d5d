"""What the center gave the box, as files in `{data_dir}/keys/`, and the settings that name them.

`identity.json` is written last: when it is there, the others are whole.
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agent.contract.enrolment import Grant
from agent.contract.events import Slug
from agent.core.errors import EnrolError
from agent.core.whole_file import write_whole
from agent.settings.model import BrokerSettings


class Identity(Struct, frozen=True, kw_only=True):
    """Who the box is at which center."""

    site: Slug
    box: Slug
    center_url: str
    broker_urls: tuple[str, ...]
    enrolled_urls: tuple[str, ...] = ()  # what enrolment wrote into the settings file

    def broker_of(self, settings: BrokerSettings) -> BrokerSettings:
        """Return how the broker is reached now; addresses a technician wrote himself stay."""
        if settings.urls != (self.enrolled_urls or self.broker_urls):
            return settings
        return msgspec.structs.replace(settings, urls=self.broker_urls)


@dataclass(frozen=True, slots=True)
class IdentityFiles:
    """Where the parts of an identity lie."""

    folder: Path

    @classmethod
    def in_data_dir(cls, data_dir: Path) -> "IdentityFiles":
        return cls(data_dir / "keys")

    @classmethod
    def staged(cls, data_dir: Path) -> "IdentityFiles":
        """Return where an identity lies that the next start takes up."""
        return cls(data_dir / "keys" / "next")

    @property
    def key(self) -> Path:
        return self.folder / "tls-key.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "tls-cert.pem"

    @property
    def broker_ca(self) -> Path:
        return self.folder / "broker-ca.pem"

    @property
    def center_ca(self) -> Path:
        return self.folder / "center-ca.pem"

    @property
    def center_keys(self) -> Path:
        return self.folder / "center-keys.json"

    @property
    def identity(self) -> Path:
        return self.folder / "identity.json"

    def read(self) -> Identity | None:
        """Return the identity, or None when there is none yet. Raises `EnrolError`."""
        try:
            return msgspec.json.decode(self.identity.read_bytes(), type=Identity)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise EnrolError(
                "enrol.identity",
                f"{self.identity} can't be read: {error}.",
                hint="Run as the agent's user; or move the file away and enrol with a new code.",
            ) from error

    def store(self, grant: Grant, center_url: str) -> Identity:
        """Write all parts; done again, it does the same. Raises `EnrolError` enrol.storage."""
        known = self.read()
        identity = Identity(
            site=grant.site,
            box=grant.box,
            center_url=center_url,
            broker_urls=grant.broker_urls,
            enrolled_urls=known.enrolled_urls if known else grant.broker_urls,
        )
        try:
            write_whole(self.certificate, grant.certificate.encode())
            write_whole(self.broker_ca, grant.broker_ca.encode())
            write_whole(self.center_ca, grant.center_ca.encode())
            write_whole(self.center_keys, grant.center_keys.encode())
            write_whole(self.identity, msgspec.json.format(msgspec.json.encode(identity)))
        except OSError as error:
            raise EnrolError(
                "enrol.storage",
                f"The identity can't be stored in {self.folder}: {error.strerror}.",
                hint="Free or repair the disk and run the same command again.",
            ) from error
        return identity


def present_broker(data_dir: Path, settings: BrokerSettings) -> BrokerSettings:
    """Return how the broker is reached now: the center may have moved since enrolment."""
    try:
        identity = IdentityFiles.in_data_dir(data_dir).read()
    except EnrolError:  # the renewal says so
        return settings
    return settings if identity is None else identity.broker_of(settings)


def settings_of(identity: Identity, data_dir: Path) -> dict[str, Any]:
    """Return the part of the settings that enrolment decides."""
    files = IdentityFiles.in_data_dir(data_dir)
    return {
        "site": identity.site,
        "box": identity.box,
        "data_dir": str(data_dir),
        "broker": {
            "urls": list(identity.broker_urls),
            "ca_file": str(files.broker_ca),
            "cert_file": str(files.certificate),
            "key_file": str(files.key),
        },
        "center": {"keys_file": str(files.center_keys)},
    }


def as_toml(table: dict[str, Any]) -> str:
    """Write settings as TOML: JSON's strings and lists are TOML's."""
    plain = {name: value for name, value in table.items() if not isinstance(value, dict)}
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in plain.items())
    for name, value in table.items():
        if isinstance(value, dict):
            text += f"\n[{name}]\n{as_toml(value)}"
    return text


def write_settings(path: Path, table: dict[str, Any]) -> bool:
    """Write a new settings file; return False when it says all this already.

    A file that says something else is a technician's: raises `EnrolError` enrol.settings.
    """
    try:
        present = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        present = None
    except (OSError, ValueError) as error:
        raise EnrolError("enrol.settings", f"{path} can't be read: {error}.") from error
    if present is not None:
        if _holds(present, table):
            return False
        raise EnrolError(
            "enrol.settings",
            f"{path} says something else, and is left as it is.",
            hint="Put these lines into it (the box is enrolled):\n\n" + as_toml(table),
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, as_toml(table).encode(), 0o640)
    except OSError as error:
        raise EnrolError(
            "enrol.settings",
            f"{path} can't be written: {error.strerror}.",
            hint="Put these lines where the settings are:\n\n" + as_toml(table),
        ) from error
    return True


def _holds(present: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(
        _holds(present.get(name, {}), value) if isinstance(value, dict) else value == there
        for name, value in wanted.items()
        for there in [present.get(name)]
    )

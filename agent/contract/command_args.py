"""What the arguments of every order have in common."""

from typing import Annotated

from msgspec import Meta, Struct

Speed = Annotated[float, Meta(ge=-1.0, le=1.0, description="share of full speed")]
CommandId = Annotated[str, Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="ULID")]


class CommandArgs(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op"):
    """The typed arguments of one operation; the tag `op` names it."""

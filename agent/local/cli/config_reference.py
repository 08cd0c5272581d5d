"""The reference of all settings, made from their types: values, defaults, what restarts."""

import json
from collections.abc import Iterator

from agent.app.process_table import process_table
from agent.settings import shape
from agent.settings.diff import LIVE_CAMERA_FIELDS
from agent.settings.load import NOT_DESIRABLE
from agent.settings.model import CameraSettings, Settings

_HEAD = """# Settings of a Poleside box

One TOML file, read at the start. The center's signed changes lie over it and take effect while the
box runs; the last column says what such a change restarts:

- **file only**: only in the file, never by the center; restart the agent after a change.
- **file, page**: never by the center; what the setup page changes there is taken up at once, for a
  change in the file restart the agent.
- **live**: nothing restarts, recording goes on.
- a name: that process alone starts anew (`camera`: this camera's or each camera's worker).
"""


def reference_lines() -> Iterator[str]:
    """Yield the reference, line by line."""
    yield _HEAD
    seen: list[str] = []
    yield from _table("the file itself", "Settings", "", seen)
    for name in seen:  # grows while it is gone through: what a table names comes after it
        yield from _table(f"`{name}`", name, _doc(name), seen)


def reload_class(path: str) -> str:
    """Say what a change of the key at `section` or `cameras.key` restarts."""
    section, _, key = path.partition(".")
    if section == "broker":  # see agent.local.setup.changes
        return "file, page"
    if section in NOT_DESIRABLE:
        return "file only"
    if section == "cameras":
        return "live" if not key or key in LIVE_CAMERA_FIELDS else "camera"
    rows = process_table(Settings(cameras=(_ANY_CAMERA,)))
    restarted = [row.name.partition("-")[0] for row in rows if section in row.sections]
    return ", ".join(restarted) or "live"


_ANY_CAMERA = CameraSettings(camera_id="any", main_url="rtsp://camera/main")


def _table(title: str, name: str, doc: str, seen: list[str]) -> Iterator[str]:
    node = shape.schema()["$defs"][name]
    if "properties" not in node:
        return
    yield f"## {title}\n"
    if doc:
        yield f"{doc}\n"
    yield "| key | values | default | a change restarts |"
    yield "|---|---|---|---|"
    for key, raw in node["properties"].items():
        inner = _named_in(raw)
        seen += [each for each in inner if each not in seen]
        values = " / ".join(f"`{each}`" for each in inner) or shape.allowed(shape.resolved(raw))
        restarts = _restarts(name, key)
        yield f"| `{key}` | {_cell(values)} | {_default(node, key, raw)} | {restarts} |"
    yield ""


def _restarts(name: str, key: str) -> str:
    if name == "Settings":
        return reload_class(key)
    if name == "CameraSettings":
        return reload_class(f"cameras.{key}")
    for section, raw in shape.schema()["$defs"]["Settings"]["properties"].items():
        if name in _named_in(raw):
            return reload_class(section)
    return "as the table it is in"


def _named_in(raw: shape.Node) -> list[str]:
    """Return the tables a key holds, one or a list of them."""
    items = raw.get("items")
    item = items if isinstance(items, dict) else {}
    found = [raw, item, *raw.get("anyOf", ()), *item.get("anyOf", ())]
    names = [str(each["$ref"]).rpartition("/")[2] for each in found if "$ref" in each]
    return [name for name in names if "properties" in shape.schema()["$defs"][name]]


def _default(node: shape.Node, key: str, raw: shape.Node) -> str:
    if key in node.get("required", ()):
        return "**needed**"
    default = raw.get("default")
    if default is None or default == "" or (isinstance(default, dict | list) and not default):
        return "-"
    return f"`{_cell(json.dumps(default, ensure_ascii=False))}`"


def _doc(name: str) -> str:
    text = shape.schema()["$defs"][name].get("description", "")
    return "\n".join(line.strip() for line in text.splitlines())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

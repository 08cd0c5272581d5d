"""The settings' JSON Schema, and what it says of one path: what is allowed there, in words."""

import functools
from collections.abc import Sequence
from typing import Any

import msgspec

from agent.settings.model import Settings

Path = Sequence[str | int]
Node = dict[str, Any]
_DEFS = "#/$defs/"


@functools.cache
def schema() -> Node:
    """Return the JSON Schema (2020-12) of a settings file."""
    made = msgspec.json.schema(Settings)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def at(path: Path, value: Any = None) -> Node | None:
    """Return the schema of what may stand at `path`; `value`, the whole table, decides the kind."""
    node: Node | None = resolved(schema())
    for step in path:
        if node is None:
            return None
        value = inside(value, step)
        node = _child(node, step, value)
    return node


def keys_at(path: Path, value: Any = None) -> tuple[str, ...]:
    """Return the keys of the object at `path`."""
    node = at(path, value)
    return tuple(node.get("properties", ())) if node else ()


def allowed(node: Node) -> str:
    """Say in plain words which values a schema allows."""
    if "enum" in node:
        return "one of " + ", ".join(str(each) for each in node["enum"])
    if "discriminator" in node:
        one_of = ", ".join(node["discriminator"]["mapping"])
        return f"a table whose `{node['discriminator']['propertyName']}` is one of {one_of}"
    if "anyOf" in node:
        some = [resolved(each) for each in node["anyOf"]]
        return " or ".join(allowed(each) for each in some if each.get("type") != "null")
    words = {
        "string": "a text",
        "number": "a number",
        "integer": "a whole number",
        "boolean": "true or false",
        "array": "a list",
        "object": "a table",
    }.get(node.get("type", ""), "a value")
    return words + _limits(node)


def resolved(node: Node) -> Node:
    """Follow a reference, and what stands for "this or left out"."""
    while "$ref" in node:
        node = {**schema()["$defs"][node["$ref"].removeprefix(_DEFS)], **_but_ref(node)}
    some = [each for each in node.get("anyOf", ()) if each.get("type") != "null"]
    if len(some) == 1:
        return {**resolved(some[0]), **{k: v for k, v in node.items() if k != "anyOf"}}
    return node


def _but_ref(node: Node) -> Node:
    return {key: value for key, value in node.items() if key != "$ref"}


def _child(node: Node, step: str | int, value: Any) -> Node | None:
    if isinstance(step, int):
        places = node.get("prefixItems", ())
        item = places[step] if step < len(places) else node.get("items")
        found = resolved(item) if isinstance(item, dict) else None
    elif "discriminator" in node:  # of no known kind
        return {"enum": list(node["discriminator"]["mapping"])}
    else:
        found = node.get("properties", {}).get(step) or node.get("additionalProperties")
        found = resolved(found) if isinstance(found, dict) else None
    return _of_kind(found, value) if found else None


def _of_kind(node: Node, value: Any) -> Node:
    """Choose among kinds of one thing (rules) by what the table says it is."""
    if "discriminator" not in node or not isinstance(value, dict):
        return node
    kind = value.get(node["discriminator"]["propertyName"])
    ref = node["discriminator"]["mapping"].get(kind) if isinstance(kind, str) else None
    return resolved({"$ref": ref}) if ref else node


def inside(value: Any, step: str | int) -> Any:
    """Return what stands at one step inside `value`, or None."""
    if isinstance(value, dict) and isinstance(step, str):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def _limits(node: Node) -> str:
    said = [
        f"{words} {node[key]:g}"
        for key, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        )
        if key in node
    ]
    for key, words in (("minItems", "at least {} of them"), ("maxItems", "at most {} of them")):
        if key in node:
            said.append(words.format(node[key]))
    if "pattern" in node:
        said.append(f"matching {node['pattern']}")
    return f", {', '.join(said)}" if said else ""

"""Reading and writing the XML that cameras speak: by local names, because prefixes lie.

Nothing found is empty text or None, never an error: every part of an answer may be missing.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from lxml import etree


def local(element: etree._Element) -> str:
    """Return an element's name without namespace or (undeclared) prefix."""
    tag = element.tag if isinstance(element.tag, str) else ""
    return tag.rpartition("}")[2].rpartition(":")[2]


def children(element: etree._Element | None, name: str) -> Iterator[etree._Element]:
    """Yield the direct children of that local name."""
    if element is not None:
        yield from (child for child in element if local(child) == name)


def child(element: etree._Element | None, path: str) -> etree._Element | None:
    """Return the first element down a path of local names, such as "Position/PanTilt"."""
    for name in path.split("/"):
        element = next(children(element, name), None)
    return element


def everywhere(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """Yield all elements below of that local name, however deep."""
    yield from (found for found in element.iter() if local(found) == name)


def text(element: etree._Element | None, path: str = "") -> str:
    """Return the text down a path, without blanks around it; empty when there is none."""
    found = child(element, path) if path else element
    return "" if found is None else "".join(found.itertext()).strip()


def number(element: etree._Element | None, path: str) -> float | None:
    """Return the finite number down a path, or None."""
    return as_number(text(element, path))


def attribute(element: etree._Element | None, name: str) -> str:
    """Return an attribute by its local name; empty when there is none."""
    if element is None:
        return ""
    pairs = ((str(key), str(value)) for key, value in element.attrib.items())
    return next((v.strip() for k, v in pairs if k.rpartition("}")[2] == name), "")


def as_number(given: str) -> float | None:
    """Read a finite number, or None."""
    try:
        value = float(given)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def is_true(given: str) -> bool | None:
    """Read an xs:boolean as cameras write it (`1`, `True`, `on` …), or None."""
    word = given.strip().lower()
    if word in ("true", "1", "on", "active", "yes"):
        return True
    return False if word in ("false", "0", "off", "inactive", "no") else None


def filled(template: str, **values: object) -> str:
    """Fill a template of XML with values, each escaped for element and attribute."""
    quotes = {'"': "&quot;"}
    return template.format(**{name: escape(str(v), quotes) for name, v in values.items()})

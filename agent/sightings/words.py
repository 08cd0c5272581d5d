"""The words of a sighting: classes as ONVIF calls them, colours, bags, sizes, directions."""

from typing import Final

COLOURS: Final = (
    "unknown", "black", "grey", "white", "red", "orange", "brown", "yellow", "green", "cyan",
    "blue", "purple", "pink",
)  # fmt: skip
UNKNOWN: Final = 0

DIRECTIONS: Final = ("still", "right", "away", "left", "toward")
"""Where it went in the picture from its first to its last place."""

BAGS: Final = ("unknown", "backpack", "handbag", "suitcase")
"""A bag that was seen on a person. That none was seen proves nothing, so there is no "none"."""

SIZES: Final = {"small": (0, 150), "medium": (150, 400), "large": (400, 1001)}
"""How high in the picture it was, in thousandths of the picture's height: from, and below."""

ONVIF_TYPES: Final = {
    "person": "Human", "bicycle": "Bicycle", "car": "Car", "motorcycle": "Motorcycle",
    "bus": "Bus", "truck": "Truck", "train": "Train", "boat": "Watercraft",
    "bird": "Animal", "cat": "Animal", "dog": "Animal", "horse": "Animal", "sheep": "Animal",
    "cow": "Animal", "bear": "Animal", "backpack": "Bag", "handbag": "Bag", "suitcase": "Bag",
}  # fmt: skip
"""ONVIF Analytics, object classes (`tt:ObjectType` and its extensions); others are "Other"."""


def labels_called(word: str) -> tuple[str, ...]:
    """Return the detector's classes that a word means: a class itself, or ONVIF's word."""
    called = tuple(label for label, own in ONVIF_TYPES.items() if own.lower() == word.lower())
    if word.lower() == "vehicle":
        return ("car", "bus", "truck", "motorcycle")
    return (word,) if word in ONVIF_TYPES or not called else called


def size_of(height: float) -> str:
    """Return the word for a height, a share of the picture's."""
    return next(
        (word for word, (_, below) in SIZES.items() if round(height * 1000) < below), "large"
    )


def onvif_type(label: str) -> str:
    """Return ONVIF's word for a class."""
    return ONVIF_TYPES.get(label, "Other")

"""Letters for drawn pictures: 5x7 points each, so that no font file is needed."""

import numpy as np
from numpy.typing import NDArray

# Seven rows of five points a letter, each row one character of base 32.
_ROWS = "0123456789abcdefghijklmnopqrstuv"
_LETTERS = {
    "A": "ehhvhhh", "B": "uhhuhhu", "C": "ehggghe", "D": "uhhhhhu", "E": "vgguggv",
    "F": "vgguggg", "G": "ehgnhhe", "H": "hhhvhhh", "I": "e44444e", "J": "72222ic",
    "K": "hikokih", "L": "ggggggv", "M": "hrllhhh", "N": "hhpljhh", "O": "ehhhhhe",
    "P": "uhhuggg", "Q": "ehhhlid", "R": "uhhukih", "S": "fgge11u", "T": "v444444",
    "U": "hhhhhhe", "V": "hhhhha4", "W": "hhhllrh", "X": "hha4ahh", "Y": "hha4444",
    "Z": "v1248gv", "0": "ehjlphe", "1": "4c4444e", "2": "eh1248v", "3": "v2421he",
    "4": "26aiv22", "5": "vgu11he", "6": "68guhhe", "7": "v124888", "8": "ehhehhe",
    "9": "ehhf12c", ".": "00000cc", ":": "0cc0cc0", "-": "000v000", "/": "01248g0",
    "%": "op248j3", "#": "aavavaa", "+": "044v440", "(": "2488842", ")": "8422248",
    "_": "000000v", ">": "84212480"[:7], "<": "248g842", "=": "00v0v00", "?": "eh12404",
}  # fmt: skip


def mask_of(text: str, scale: int) -> NDArray[np.bool_]:
    """Return where ink is: rows and columns of `text` with one point of margin all around."""
    cells = [_cell(letter) for letter in text.upper()]
    rows = np.zeros((9, 6 * len(cells) + 1), bool)
    for number, cell in enumerate(cells):
        rows[1:8, 6 * number + 1 : 6 * number + 6] = cell
    return np.kron(rows, np.ones((scale, scale), bool))


def _cell(letter: str) -> NDArray[np.bool_]:
    rows = _LETTERS.get(letter, "0000000" if letter == " " else _LETTERS["?"])
    return np.array([[bool(_ROWS.index(row) >> (4 - k) & 1) for k in range(5)] for row in rows])

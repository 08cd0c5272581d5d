"""Every text a person may read at the box is there in English and in Korean."""

import json
import re
import string
from pathlib import Path

import pytest

import agent
from agent.health.catalogue import CATALOGUE

HANGUL = re.compile("[가-힣]")
WORD_FOLDERS = sorted(path.parent for path in Path(agent.__file__).parent.rglob("words/en.json"))


def braces(text):
    """Return what is filled in; a word that is itself of one language ends in `_ko`."""
    return {name.removesuffix("_ko") for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_fault_has_its_sentence_and_one_action_in_both(code):
    words = CATALOGUE[code]
    for english, korean in ((words.en, words.ko), (words.hint_en, words.hint_ko)):
        assert english.strip()
        assert not HANGUL.search(english)
        assert HANGUL.search(korean)
        assert braces(korean) == braces(english)


@pytest.mark.parametrize("folder", WORD_FOLDERS, ids=lambda folder: folder.parent.name)
def test_the_words_of_a_page_are_in_both(folder):
    english, korean = (json.loads((folder / f"{name}.json").read_bytes()) for name in ("en", "ko"))
    assert english.keys() == korean.keys()
    for key, text in english.items():
        assert text.strip(), key
        assert korean[key].strip(), key
        assert key == "other-language" or not HANGUL.search(text), key
        is_sentence = len(text.split()) > 2
        assert not is_sentence or key == "other-language" or HANGUL.search(korean[key]), key


def test_every_page_has_its_words_looked_at():
    assert {folder.parent.name for folder in WORD_FOLDERS} >= {"web", "access", "page"}

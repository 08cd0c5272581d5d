"""The published contract is what the types say, is valid AsyncAPI, and its examples are true."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from agent.contract.publish import FILES, asyncapi, files, published
from agent.contract.topics import Channel

ASYNCAPI = Path(__file__).parent / "asyncapi-3.0.0.json"
TYPES = published()


def test_the_files_are_fresh():
    stale = [
        name
        for name, content in files().items()
        if not (FILES / name).exists() or (FILES / name).read_bytes() != content
    ]
    assert not stale, f"run `python -m agent.contract.publish`: {stale}"


def test_the_document_is_valid_asyncapi():
    validator = jsonschema.Draft7Validator(json.loads(ASYNCAPI.read_bytes()))
    assert [error.message for error in validator.iter_errors(asyncapi())] == []
    wrong = asyncapi() | {"asyncapi": "2"}
    assert list(validator.iter_errors(wrong))


def test_every_channel_a_box_speaks_is_in_it():
    addresses = {channel["address"] for channel in asyncapi()["channels"].values()}
    assert {f"edge/1/{{site}}/{{box}}/{channel.value}" for channel in Channel} <= addresses


@pytest.mark.parametrize("kind", ["good", "bad"])
def test_every_published_type_has_an_example(kind):
    shown = {path.stem.split("-")[0] for path in examples(kind)}
    assert set(TYPES) - shown == set(), f"no {kind} example in {FILES / 'examples' / kind}"
    assert shown - set(TYPES) == set()


def examples(kind: str) -> list[Path]:
    return sorted((FILES / "examples" / kind).glob("*.json"))


def validator_for(path: Path) -> jsonschema.Draft202012Validator:
    schema = json.loads((FILES / "schemas" / f"{path.stem.split('-')[0]}.json").read_bytes())
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", examples("good"), ids=lambda path: path.stem)
def test_a_good_example_is_taken_by_type_and_schema(path):
    msgspec.json.decode(path.read_bytes(), type=TYPES[path.stem.split("-")[0]])
    validator_for(path).validate(json.loads(path.read_bytes()))


@pytest.mark.parametrize("path", examples("bad"), ids=lambda path: path.stem)
def test_a_bad_example_is_refused_by_type_and_schema(path):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(path.read_bytes(), type=TYPES[path.stem.split("-")[0]])
    with pytest.raises(jsonschema.ValidationError):
        validator_for(path).validate(json.loads(path.read_bytes()))

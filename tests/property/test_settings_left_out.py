"""Whatever is wrong in what is stored over the file: that alone is left out."""

import msgspec
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agent.settings.load import Layers, merge_patch
from agent.settings.model import Settings
from agent.settings.sift import sift

FILE = {
    "cameras": [
        {"camera_id": name, "main_url": f"rtsp://10.0.0.{number}/m"}
        for number, name in enumerate(("gate", "yard"), start=1)
    ]
}
GOOD = {
    "local": {
        "buffer": {"segment_s": 20.0},
        "timelapse": {"every_s": 900.0},
        "cameras": [{"camera_id": "gate", "name": "North", "detect_fps": 3.0}],
    },
    "desired": {
        "buffer": {"retention_days": 9.0},
        "cameras": [{"camera_id": "yard", "record": False}, {"camera_id": "gate", "priority": 2}],
    },
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(["", "x", "new_key", "segment_s", "urls", "camera_id", "rules", "zone"])
TABLES = st.dictionaries(
    NAMES | st.sampled_from([field.name for field in msgspec.structs.fields(Settings)]),
    VALUES
    | st.dictionaries(NAMES, VALUES, max_size=3)
    | st.lists(
        st.fixed_dictionaries(
            {"camera_id": st.sampled_from(["gate", "yard", "roof", "?!"])},
            optional={"rules": VALUES, "detect_fps": VALUES, "main_url": VALUES, "x": VALUES},
        ),
        max_size=3,
    ),
    max_size=5,
)
# Keys that an older version may not know, or not like: where, and a value that never fits.
BAD = {
    "$.new_part": {"new_part": {"a": 1}},
    "$.buffer.new_key": {"buffer": {"new_key": 1}},
    "$.uploads.new_key": {"uploads": {"new_key": [1]}},
    "$.timelapse.keep_days": {"timelapse": {"keep_days": "long"}},
    "$.cameras[gate].new_key": {"cameras": [{"camera_id": "gate", "new_key": {}}]},
    "$.cameras[yard].rules": {"cameras": [{"camera_id": "yard", "rules": [{"kind": "new"}]}]},
    "$.cameras[roof]": {"cameras": [{"camera_id": "roof"}]},
    "$.alarms.overlaps": {"alarms": {"overlaps": [["gate", "nowhere"]]}},
}


@settings(deadline=None)
@example({"x": [None]}, {"x": [{"camera_id": "gate"}]})
@example({"cameras": [{"camera_id": []}]}, {"cameras": [{"camera_id": "gate"}]})
@given(local=TABLES, desired=TABLES)
def test_whatever_is_stored_the_box_starts_and_knows_its_cameras(local, desired):
    found = sift(FILE, Layers(local, desired))
    assert found.settings == found.layers.over(FILE)
    again = sift(FILE, found.layers)
    assert (again.layers, again.left_out) == (found.layers, ())


# Wishes that fit, nulls and cameras named twice among them.
FITTING = st.fixed_dictionaries(
    {},
    optional={
        "buffer": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "segment_s": st.none() | st.floats(5, 50),
                "retention_days": st.none() | st.floats(1, 90),
            },
        ),
        "timelapse": st.none() | st.just({"every_s": None}) | st.just({"every_s": 600.0}),
        "cameras": st.lists(
            st.fixed_dictionaries(
                {"camera_id": st.sampled_from(["gate", "yard"])},
                optional={
                    "name": st.none() | st.text(max_size=3),
                    "detect_fps": st.none() | st.floats(1, 5),
                    "onvif_url": st.none(),
                },
            ),
            min_size=1,
            max_size=4,
        ),
    },
)


@settings(deadline=None)
@given(local=FITTING, desired=FITTING, bad=st.sampled_from([None, *sorted(BAD)]))
def test_what_fits_is_in_effect_as_it_was_written_with_its_nulls(local, desired, bad):
    """The box holds the document itself: what it reports is the hash of what it was given."""
    layers = Layers(local, desired)
    in_effect = layers.over(FILE)
    expected = merge_patch(merge_patch(FILE, local), desired)
    assert in_effect == Layers({}, {}).over(expected)
    if bad is None:
        found = sift(FILE, layers)
        assert (found.layers, found.left_out) == (layers, ())
    else:
        part, wish = next(iter(BAD[bad].items()))
        worse = desired.get(part, [] if isinstance(wish, list) else {})
        assume(worse is not None)
        worse = [*worse, *wish] if isinstance(wish, list) else worse | wish
        found = sift(FILE, Layers(local, desired | {part: worse}))
        assert [left.path for left in found.left_out] == [bad]
    assert found.settings == in_effect


@settings(deadline=None)
@given(where=st.dictionaries(st.sampled_from(sorted(BAD)), st.sampled_from(sorted(GOOD))))
def test_each_bad_key_is_left_out_alone_and_told_and_all_else_counts(where):
    stored = dict(GOOD)
    for path, layer in where.items():
        stored[layer] = merge_patch(stored[layer], BAD[path])
    found = sift(FILE, Layers(**stored))
    told = {left.path: "local" if left.is_local else "desired" for left in found.left_out}
    assert told == where
    assert found.layers == Layers(**GOOD)
    assert all(left.error.code.startswith("settings.") for left in found.left_out)

"""The center's patches follow RFC 7396 wherever no list of cameras is meant."""

from hypothesis import given
from hypothesis import strategies as st

from agent.settings.load import merge_patch

KEYS = st.sampled_from(["a", "b", "c"])
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.text("xy", max_size=2)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=3)


def rfc_7396(target, patch):
    """The pseudo code of section 2, word by word."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        target = dict(target)
        for name, value in patch.items():
            if value is None:
                if name in target:
                    del target[name]
            else:
                target[name] = rfc_7396(target.get(name), value)
        return target
    return patch


@given(target=VALUES, patch=VALUES)
def test_it_is_the_merge_of_the_rfc(target, patch):
    assert merge_patch(target, patch) == rfc_7396(target, patch)


@given(target=TABLES, patch=TABLES)
def test_it_changes_neither_argument_and_twice_is_once(target, patch):
    before = repr((target, patch))
    once = merge_patch(target, patch)
    assert repr((target, patch)) == before
    assert merge_patch(once, patch) == once


@given(ids=st.lists(st.sampled_from("abcd"), unique=True), patched=st.sampled_from("abcdef"))
def test_a_camera_patch_touches_its_camera_only_and_keeps_the_order(ids, patched):
    cameras = [{"camera_id": camera_id, "name": camera_id} for camera_id in ids]
    merged = merge_patch(cameras, [{"camera_id": patched, "name": "new"}])
    assert [camera["camera_id"] for camera in merged] == [*ids, *({patched} - set(ids))]
    assert {c["camera_id"] for c in merged if c["name"] == "new"} == {patched}


# As settings are: what is a table under a key is one everywhere, what is a value is a value.
LEAF_OR_NULL = st.none() | st.integers(-3, 3)
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "a": LEAF_OR_NULL,
        "t": st.fixed_dictionaries({}, optional={"b": LEAF_OR_NULL, "c": LEAF_OR_NULL}),
        "cameras": st.lists(
            st.fixed_dictionaries(
                {"camera_id": st.sampled_from("xyz")},
                optional={"b": LEAF_OR_NULL, "c": LEAF_OR_NULL},
            ),
            min_size=1,
            max_size=4,
        ),
    },
)


def without_empty_tables(table):
    return {key: value for key, value in table.items() if value != {}}


@given(below=SHAPED, first=SHAPED, then=SHAPED)
def test_two_patches_laid_together_do_what_one_after_the_other_does(below, first, then):
    target = merge_patch({}, below)
    together = merge_patch(first, then, keeps_nulls=True)
    one_by_one = merge_patch(merge_patch(target, first), then)
    assert without_empty_tables(merge_patch(target, together)) == without_empty_tables(one_by_one)

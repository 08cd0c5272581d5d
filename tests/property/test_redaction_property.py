"""Whatever surrounds it, and whatever characters it holds, a planted secret never comes out."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.redact import redact, redact_text

# "µ" does not occur in what surrounds the canary, so finding it means a leak.
CANARY = "µcanaryµ"
_prefix = st.text(st.characters(exclude_characters="µ", exclude_categories=["Cs"]), max_size=30)
_in_url = st.text(
    st.characters(exclude_characters="µ", exclude_categories=["Cs", "Z", "C"]), max_size=12
)
_secret_keys = st.sampled_from(
    ["password", "Password", "camera_password", "token", "auth_token", "client_secret", "pwd"]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _prefix,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_prefix, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(before=_prefix, user=_in_url, left=_in_url, right=_in_url, after=_prefix)
def test_no_password_of_a_url_survives(before, user, left, right, after):
    url = f"rtsp://{user}:{left}{CANARY}{right}@camera/stream"
    assert "µ" not in redact_text(f"{before} {url} {after}")


@settings(deadline=None)
@given(before=_prefix, key=_secret_keys, left=_in_url, right=_in_url)
def test_no_json_password_in_a_text_survives(before, key, left, right):
    text = json.dumps({key: left + CANARY + right}, ensure_ascii=False)
    assert "µ" not in redact_text(f"{before} {text}")


@settings(deadline=None)
@given(before=_prefix, key=_secret_keys, left=_in_url, right=_in_url)
def test_no_python_repr_of_a_password_survives(before, key, left, right):
    assert "µ" not in redact_text(f"{before} ({key}={left + CANARY + right!r}, camera='gate')")


@settings(deadline=None)
@given(key=_secret_keys, noise=_values, wrap=st.integers(0, 4))
def test_no_secret_key_survives_at_any_depth(key, noise, wrap):
    value: object = {"noise": noise, key: [CANARY, {"x": CANARY}]}
    for _ in range(wrap):
        value = [{"inner": value}]
    assert "µ" not in json.dumps(redact(value), ensure_ascii=False)


@settings(deadline=None)
@given(_prefix)
def test_redacting_twice_changes_nothing_more(text):
    assert redact_text(redact_text(text)) == redact_text(text)

"""Whatever user and password: tokens and digests are what a camera checks, and never repeat."""

import base64
import hashlib
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from agent.cameras.credentials import DigestChallenge, with_username_token
from agent.cameras.port import Login
from agent.simulators.camera.onvif_http import HttpRequest
from agent.simulators.camera.onvif_login import LoginCheck, Verdict

_XML_TEXT = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff"),
    min_size=1,
    max_size=40,
)
_ENVELOPE = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><x/></s:Body>'
    b"</s:Envelope>"
)
_LATIN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(_XML_TEXT, _XML_TEXT, st.integers(0, 4_000_000_000))
def test_a_token_proves_the_password_at_the_camera_s_time(username, password, unix_s):
    at = datetime.fromtimestamp(unix_s, UTC)

    root = etree.fromstring(with_username_token(_ENVELOPE, Login(username, password), at))

    texts = {etree.QName(e).localname: e.text for e in root.iter() if e.text}
    assert texts["Created"].endswith("Z")
    assert texts["Username"] == username
    proof = base64.b64decode(texts["Nonce"]) + texts["Created"].encode() + password.encode()
    assert base64.b64decode(texts["Password"]) == hashlib.sha1(proof).digest()
    check = LoginCheck(username, password)
    request = HttpRequest("POST", "/", {}, b"")
    assert check.judge(request, root, at) is Verdict.GOOD
    assert check.judge(request, root, at) is Verdict.BAD_TOKEN, "a token serves once"


@given(_LATIN.filter(lambda text: '"' not in text and "\\" not in text), _LATIN)
def test_a_digest_proves_the_password_many_times_but_each_only_once(username, password):
    check = LoginCheck(username, password)
    challenge = DigestChallenge.best_of(tuple(value for _, value in check.challenges()))
    assert challenge is not None
    assert challenge.algorithm == "SHA-256"
    envelope = etree.fromstring(_ENVELOPE)
    for _ in range(3):
        shown = challenge.authorization(Login(username, password), "http://pole/onvif?a=b")
        request = HttpRequest("POST", "/onvif?a=b", {"authorization": shown}, b"")
        assert check.judge(request, envelope, datetime.now(UTC)) is Verdict.GOOD
        assert check.judge(request, envelope, datetime.now(UTC)) is Verdict.BAD_DIGEST


@given(st.lists(st.sampled_from(["nonce", "realm", "qop", "x"]), min_size=1), _LATIN)
def test_a_challenge_with_parts_missing_is_no_error(names, value):
    for cut in ("", value):
        told = ", ".join(f"{name}={cut}" for name in names)
        DigestChallenge.best_of((f"Digest nonce=x, {told}",))

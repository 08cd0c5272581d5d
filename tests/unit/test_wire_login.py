"""A challenge is answered as the RFCs' own examples are, once, and again only for an old nonce."""

import pytest

from agent.ingest.wire import login
from agent.ingest.wire.login import Login


def test_md5_without_and_with_qop_is_that_of_rfc_2617(monkeypatch):
    monkeypatch.setattr(login.secrets, "token_hex", lambda _: "0a4f113b")
    plain = Login("Mufasa", "Circle Of Life")
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    asked = f'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="{nonce}", opaque="5c"'
    assert plain.header("GET", "/dir/index.html") is None
    assert plain.take([asked])
    told = plain.header("GET", "/dir/index.html")
    assert 'response="6629fae49393a05397450978507c4ef1"' in told
    assert "qop=auth, nc=00000001" in told
    assert 'opaque="5c"' in told
    assert "nc=00000002" in plain.header("GET", "/dir/index.html")


def test_sha_256_is_preferred_and_that_of_rfc_7616(monkeypatch):
    own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    monkeypatch.setattr(login.secrets, "token_hex", lambda _: own)
    both = Login("Mufasa", "Circle of Life")
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    rest = f'realm="http-auth@example.org", qop="auth", nonce="{nonce}"'
    assert both.take([f"Digest {rest}, algorithm=MD5", f"Digest {rest}, algorithm=SHA-256"])
    told = both.header("GET", "/dir/index.html")
    expected = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    assert f'response="{expected}"' in told


def test_basic_is_answered_only_where_nothing_better_is_asked_for():
    basic = 'Basic realm="camera"'
    only, better = Login("Aladdin", "open sesame"), Login("Aladdin", "open sesame")
    assert only.take([basic])
    assert only.header("DESCRIBE", "rtsp://h/") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert better.take([basic, 'Digest realm="camera", nonce="n"'])
    assert better.header("DESCRIBE", "rtsp://h/").startswith("Digest ")


def test_a_refusal_is_not_answered_twice_but_an_old_nonce_is():
    one = Login("admin", "geheim")
    assert one.take(['Digest realm="c", nonce="1"'])
    assert not one.take(['Digest realm="c", nonce="2"'])
    assert one.take(['Digest realm="c", nonce="3", stale=true'])
    assert not one.take(['Digest realm="c", nonce="3", stale=true'])


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Digest",
        'Digest realm="c"',
        'Digest realm="c", nonce="n", algorithm=SHA-512',
        'Digest realm="c", nonce="n", qop="auth-int"',
        'Bearer realm="c"',
        "\x00" * 100,
    ],
)
def test_what_can_not_be_answered_is_not(challenge):
    one = Login("admin", "geheim")
    assert not one.take([challenge])
    assert one.header("PLAY", "rtsp://h/") is None


def test_a_quote_in_a_name_stays_in_its_place():
    one = Login('a"b\\c', "geheim")
    one.take(['Digest realm="c", nonce="n"'])
    assert 'username="a\\"b\\\\c"' in one.header("PLAY", "rtsp://h/")

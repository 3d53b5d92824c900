"""Who may ask the admin API what, decided from the head of a request alone."""

import pytest

from mosn_mp.admin.access import Access, Caller, Question, judge

STRICT = Access(hosts=frozenset({"proxy.example"}), token=b"0123456789abcdef")
BEARER = "Bearer 0123456789abcdef"
LOCAL = Caller("127.0.0.1:5000", "127.0.0.1", is_local=True)
REMOTE = Caller("10.9.9.9:5000", "10.0.0.1")
MAPPED = Caller("::ffff:10.9.9.9:5000", "::ffff:10.0.0.1")
SIX = Caller("[fd00::9]:5000", "fd00::1")
BY_SOCKET = Caller("uid 0, pid 1", is_local=True, is_trusted=True)


def status(
    caller: Caller = REMOTE,
    access: Access = STRICT,
    method: str = "GET",
    authority: str = "10.0.0.1:34901",
    origin: str = "",
    site: str = "",
    content: str = "application/json",
    authorization: str = BEARER,
) -> int:
    """0: answered."""
    refusal = judge(Question(method, authority, origin, site, content, authorization), caller, access)
    return refusal.status if refusal is not None else 0


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("caller", "authority"),
    [
        (REMOTE, "10.0.0.1:34901"),
        (REMOTE, "10.0.0.1"),
        (REMOTE, "10.0.0.1:"),
        (REMOTE, "Proxy.Example:34901"),
        (REMOTE, ""),  # HTTP/1.0, which no browser speaks
        (LOCAL, "localhost:34901"),
        (LOCAL, "LOCALHOST"),
        (LOCAL, "127.0.0.1:8080"),  # the port of an ssh tunnel
        (LOCAL, "127.9.9.9"),
        (LOCAL, "[::1]:34901"),
        (MAPPED, "10.0.0.1:34901"),
        (MAPPED, "[::ffff:10.0.0.1]:34901"),
        (SIX, "[fd00::1]:34901"),
        (SIX, "[FD00:0::1]"),
        (BY_SOCKET, "whatever.example"),
    ],
)
def test_our_own_names_are_answered(method: str, caller: Caller, authority: str) -> None:
    assert status(caller, method=method, authority=authority) == 0


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("caller", [LOCAL, REMOTE, SIX])
@pytest.mark.parametrize(
    "authority",
    [
        "evil.example",
        "evil.example:34901",
        "localhost.evil.example",
        "127.0.0.1.evil.example:34901",
        "proxy.example.evil",
        "10.0.0.2:34901",
        "[fd00::2]:34901",
        "2130706433",
        "0x7f000001",
        "127.1",
        "localhost.",
        "0.0.0.0:34901",
    ],
)
def test_a_foreign_name_is_misdirected(method: str, caller: Caller, authority: str) -> None:
    assert status(caller, method=method, authority=authority) == 421


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("", 0),
        ("http://10.0.0.1:34901", 0),
        ("https://10.0.0.1:34901", 0),
        ("http://10.0.0.1", 403),
        ("http://10.0.0.1:80", 403),
        ("http://evil.example", 403),
        ("http://10.0.0.1:34901.evil.example", 403),
        ("file://10.0.0.1:34901", 403),
        ("null", 403),
        ("http://10.0.0.1:34901, http://10.0.0.1:34901", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_origin_has_to_be_our_own(method: str, origin: str, expected: int) -> None:
    assert status(method=method, origin=origin) == expected
    assert status(BY_SOCKET, method=method, origin=origin) == 0


@pytest.mark.parametrize(
    ("site", "expected"), [("", 0), ("none", 0), ("same-origin", 0), ("same-site", 403), ("cross-site", 403), ("None, none", 403)]
)
def test_a_browser_that_says_that_another_page_asks_is_refused(site: str, expected: int) -> None:
    assert status(site=site) == status(method="POST", site=site) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("application/json", 0),
        ("Application/JSON; charset=utf-8", 0),
        ("", 415),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=application/json", 415),
        ("application/json, text/plain", 415),
        ("application/jsonp", 415),
    ],
)
@pytest.mark.parametrize("caller", [LOCAL, REMOTE, BY_SOCKET])
def test_what_is_posted_has_to_be_json(caller: Caller, content: str, expected: int) -> None:
    authority = f"{caller.local_ip or 'localhost'}:34901"
    assert status(caller, method="POST", authority=authority, content=content) == expected
    assert status(caller, authority=authority, content=content) == 0


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (BEARER, 0),
        ("bearer  0123456789abcdef ", 0),
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Bearer 0123456789abcde", 401),
        ("Bearer 0123456789abcdeff", 401),
        ("Bearer \u20ac", 401),
        ("Basic 0123456789abcdef", 401),
        ("0123456789abcdef", 401),
        (f"{BEARER}, {BEARER}", 401),
    ],
)
@pytest.mark.parametrize("caller", [LOCAL, REMOTE])
def test_a_change_takes_the_token(caller: Caller, authorization: str, expected: int) -> None:
    authority = f"{caller.local_ip}:34901"
    assert status(caller, method="POST", authority=authority, authorization=authorization) == expected
    assert status(caller, authority=authority, authorization=authorization) == 0


def test_without_a_token_only_the_unix_socket_and_an_open_api_take_changes() -> None:
    for authorization in ("", "Bearer ", BEARER):
        assert status(access=Access(), method="POST", authorization=authorization) == 403
        assert status(BY_SOCKET, Access(), method="POST", authorization=authorization) == 0
        assert status(access=Access(is_open=True), method="POST", authorization=authorization) == 0
    assert status(access=Access(is_open=True), method="POST", content="text/plain") == 415
    assert status(access=Access(is_open=True), method="POST", origin="http://evil.example") == 403

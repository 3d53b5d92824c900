"""Head tables from the side of a filter: what Python sees, what it may write, what follows from an edit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.buffer.head import Head
from mosn_mp.codec.driver import CodecDriver, facts
from mosn_mp.codec.http1.codec import Http1Codec
from mosn_mp.codec.http1.limits import Http1Limits

SERVER, CLIENT = 0, 1
REMOVED = 1
TOKEN = st.text("abcXYZ019-_.!#$%&'*+^`|~", min_size=1, max_size=20).map(lambda text: b"X" + text.encode())
VALUE = st.binary(max_size=40).map(lambda raw: bytes(b for b in raw if b == 9 or (b >= 32 and b != 127)).strip(b" \t"))


def head_of(*fields: bytes, line: bytes = b"GET /path?q HTTP/1.1") -> tuple[CodecDriver, Head]:
    """A parsed request with Host and these field lines; the driver keeps its bytes alive."""
    driver = CodecDriver(Http1Codec(SERVER, Http1Limits()))
    driver.feed(b"\r\n".join([line, b"Host: a", *fields]) + b"\r\n\r\n")
    event, head = driver.next_event()
    assert event == 1 and isinstance(head, Head)
    return driver, head


def written(head: Head) -> list[bytes]:
    """The lines of *head* as a request."""
    driver = CodecDriver(Http1Codec(CLIENT, Http1Limits()))
    driver.write_head(head, True)
    text = driver.take_output()
    assert text.endswith(b"\r\n\r\n")
    return text[:-4].split(b"\r\n")


def test_names_are_found_whatever_their_case() -> None:
    _, head = head_of(b"X-Thing: 1", b"ACCEPT: */*")
    assert head.get("x-thing") == head.get(b"X-THING") == b"1"
    assert "accept" in head and "accepts" not in head
    assert head.get("missing") is None and head.get("missing", b"-") == b"-"


def test_non_letters_have_no_other_case() -> None:
    _, head = head_of(b"x^y: 1", b"x~y: 2")
    assert head.get("X^Y") == b"1" and head.get("X~Y") == b"2"


def test_all_values_of_a_name_come_in_order() -> None:
    _, head = head_of(b"A: 1", b"B: 2", b"a: 3", b"A:")
    assert head.get_all("a") == [b"1", b"3", b""]
    assert head.items() == [(b"Host", b"a"), (b"A", b"1"), (b"B", b"2"), (b"a", b"3"), (b"A", b"")]
    assert len(head) == 5 and list(head) == [b"Host", b"A", b"B", b"a", b"A"]


def test_pseudo_headers_are_bytes() -> None:
    _, head = head_of()
    assert (head.method, head.path, head.authority, head.scheme, head.status) == (b"GET", b"/path?q", b"a", b"", 0)
    with pytest.raises(AttributeError, match="has no 'verb'"):
        _ = head.verb


def test_setting_keeps_the_place_and_takes_out_the_others() -> None:
    _, head = head_of(b"A: 1", b"B: 2", b"a: 3")
    head.set("a", "new value")
    assert head.items() == [(b"Host", b"a"), (b"A", b"new value"), (b"B", b"2")]
    assert written(head) == [b"GET /path?q HTTP/1.1", b"Host: a", b"A: new value", b"B: 2"]


def test_setting_what_is_not_there_appends() -> None:
    _, head = head_of(b"A: 1")
    head.set("New", b"2")
    assert written(head)[-2:] == [b"A: 1", b"New: 2"]


def test_added_fields_come_last_and_repeat() -> None:
    _, head = head_of(b"A: 1")
    head.add("A", "2")
    head.add(b"B", b" 3\t")
    assert written(head)[-3:] == [b"A: 1", b"A: 2", b"B: 3"]


def test_removed_fields_are_gone_and_counted() -> None:
    _, head = head_of(b"A: 1", b"B: 2", b"a: 3")
    assert head.remove("A") == 2 and head.remove("A") == 0
    assert "a" not in head and head.get("A") is None and len(head) == 2
    assert written(head) == [b"GET /path?q HTTP/1.1", b"Host: a", b"B: 2"]
    assert [flags & REMOVED for flags in facts(head).flags] == [0, 1, 0, 1]


def test_a_field_can_be_removed_and_added_again() -> None:
    _, head = head_of(b"Expect: 100-continue")
    assert facts(head).expect_continue
    head.remove("expect")
    assert not facts(head).expect_continue
    head.add("Expect", "100-continue")
    assert head.get("expect") == b"100-continue"


def test_removing_upgrade_means_no_upgrade() -> None:
    _, head = head_of(b"Connection: upgrade", b"Upgrade: websocket")
    assert facts(head).upgrade
    head.remove("Upgrade")
    assert not facts(head).upgrade
    assert written(head) == [b"GET /path?q HTTP/1.1", b"Host: a"]


@pytest.mark.parametrize(
    "name", ["Connection", "keep-alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Connection"]
)
def test_hop_by_hop_names_cannot_be_written_and_the_error_says_so(name: str) -> None:
    _, head = head_of()
    for write in (head.add, head.set):
        with pytest.raises(ValueError, match=f"{name} is hop-by-hop"):
            write(name, "x")


def test_the_length_cannot_be_written() -> None:
    _, head = head_of()
    with pytest.raises(ValueError, match="Content-Length follows from the body"):
        head.set("content-length", "5")


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r", "ä", "a\0", "(a)", b"\xdf"])
def test_names_that_are_no_tokens_are_refused(name: str | bytes) -> None:
    _, head = head_of()
    with pytest.raises(ValueError, match="header name"):
        head.add(name, "x")


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0", "\x1b", "a\x7f"])
def test_values_with_control_bytes_are_refused(value: str) -> None:
    _, head = head_of()
    for write in (head.add, head.set):
        with pytest.raises(ValueError, match="control byte"):
            write("A", value)
    assert len(head) == 1


def test_only_bytes_and_str_are_taken() -> None:
    _, head = head_of()
    with pytest.raises(TypeError, match="not int"):
        head.add("A", 1)


def test_a_new_host_is_the_new_authority_and_the_other_way_round() -> None:
    _, head = head_of(b"A: 1")
    head.set("host", "b:1")
    assert head.authority == b"b:1"
    head.authority = b"c"
    assert head.get("Host") == b"c"
    assert written(head) == [b"GET /path?q HTTP/1.1", b"Host: c", b"A: 1"]
    head.add("Host", "d")
    assert head.get_all("host") == [b"d"]


def test_a_removed_host_is_written_from_the_authority() -> None:
    _, head = head_of(b"A: 1")
    head.remove("Host")
    assert written(head) == [b"GET /path?q HTTP/1.1", b"Host: a", b"A: 1"]


def test_method_and_path_can_be_changed() -> None:
    _, head = head_of(b"A: 1")
    head.method = "POST"
    head.path = b"/other"
    assert written(head) == [b"POST /other HTTP/1.1", b"Host: a", b"A: 1"]


@pytest.mark.parametrize(
    ("name", "value"), [("path", "/a b"), ("path", ""), ("path", "/\r\n"), ("method", "G T"), ("method", "")]
)
def test_pseudo_headers_that_would_break_the_line_are_refused(name: str, value: str) -> None:
    _, head = head_of()
    with pytest.raises(ValueError, match=name):
        setattr(head, name, value)


def test_edits_are_bounded() -> None:
    _, head = head_of()
    with pytest.raises(ValueError, match="edits to one head"):
        for i in range(100):
            head.set("A", "x" * 1000 + str(i))


def test_fields_are_bounded() -> None:
    head = Head(None, 40)
    with pytest.raises(ValueError, match="more than 40 header fields"):
        for _ in range(41):
            head.add("A", "b")
    assert len(head) == 40


def test_a_table_that_grew_keeps_its_fields() -> None:
    head = Head()
    for i in range(500):
        head.add(f"N{i}", str(i))
    assert head.items() == [(b"N%d" % i, b"%d" % i) for i in range(500)]


@given(st.lists(st.tuples(st.sampled_from("asr"), TOKEN, VALUE), max_size=30))
def test_edits_are_those_of_a_list_of_pairs(edits: list[tuple[str, bytes, bytes]]) -> None:
    _, head = head_of(b"Xa: 1", b"xB: 2", b"XA: 3")
    model = head.items()
    for kind, name, value in edits:
        at = [i for i, (n, _) in enumerate(model) if n.lower() == name.lower()]
        if kind == "a" or (kind == "s" and not at):
            (head.add if kind == "a" else head.set)(name, value)
            model.append((name, value))
        elif kind == "s":
            head.set(name, value)
            model[at[0]] = (model[at[0]][0], value)
            model = [pair for i, pair in enumerate(model) if i not in at[1:]]
        else:
            assert head.remove(name) == len(at)
            model = [pair for i, pair in enumerate(model) if i not in at]
    assert head.items() == model
    assert written(head)[1:] == [name + b": " + value for name, value in model]

import pytest

from mosn_mp.buffer.head import Head
from mosn_mp.observe.access_log.record import Record


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (b"10.0.0.255:65535", b"10.0.0.255:65535"),
        (b"0.0.0.0:0", b"0.0.0.0:0"),
        (b"[::1]:80", b"[::1]:80"),
        (b"[2001:db8:0:0:1:0:0:1]:443", b"[2001:db8::1:0:0:1]:443"),
        (b"[::ffff:192.0.2.1]:8080", b"192.0.2.1:8080"),
        (None, None),
    ],
)
def test_an_address_reads_as_go_prints_it(given: bytes | None, shown: bytes | None) -> None:
    record = Record()
    record.downstream_remote_address = given
    assert record.downstream_remote_address == shown


@pytest.mark.parametrize("text", [b"", b"localhost:80", b"10.0.0.1", b"10.0.0.1:65536", b"10.0.0.1:http", b"[::1:80"])
def test_what_is_no_address_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        Record().upstream_local_address = text


def test_a_reset_record_holds_nothing_of_the_request_before() -> None:
    record, fresh = Record(), Record()
    names = [name for name in dir(Record) if not name.startswith("_") and name != "reset"]
    for name in names:
        value = getattr(fresh, name)
        if isinstance(value, int):
            setattr(record, name, 7)
        elif name.endswith("_address"):
            setattr(record, name, b"10.0.0.1:80")
        else:
            setattr(record, name, Head() if name in ("request", "response") else b"text")
        assert getattr(record, name) != value
    record.reset()
    assert [getattr(record, name) for name in names] == [getattr(fresh, name) for name in names]

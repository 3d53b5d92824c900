"""nginx as the host behind the proxy."""

import gzip
import http.client
from collections.abc import Callable, Iterator

import pytest

from tests.interop.conftest import ONE_MIB, Nginx
from tests.long.proxied import Proxied

pytestmark = pytest.mark.interop("nginx")


@pytest.fixture(scope="module")
def nginx(shared_nginx: Nginx) -> Nginx:
    return shared_nginx


@pytest.fixture(scope="module")
def proxied(nginx: Nginx, shared_proxy_to: Callable[..., Proxied]) -> Proxied:
    return shared_proxy_to(nginx.port, workers=1)


@pytest.fixture
def client(proxied: Proxied) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", proxied.port, timeout=10)
    yield made
    made.close()


def get(client: http.client.HTTPConnection, path: str, **fields: str) -> tuple[http.client.HTTPResponse, bytes]:
    """The answer and its body."""
    client.request("GET", path, headers={name.replace("_", "-"): value for name, value in fields.items()})
    answer = client.getresponse()
    return answer, answer.read()


def test_one_connection_to_nginx_carries_all_requests(client: http.client.HTTPConnection, nginx: Nginx) -> None:
    before = nginx.connections()
    for _ in range(200):
        assert get(client, "/hello")[1] == b"hello"
    assert len(nginx.connections() - before) <= 1  # none if another test left one


def test_1_mib_arrives_whole(client: http.client.HTTPConnection) -> None:
    for _ in range(20):
        answer, body = get(client, "/1m")
        assert answer.headers["content-length"] == str(len(ONE_MIB))
        assert body == ONE_MIB


def test_1_mib_is_stored_whole(client: http.client.HTTPConnection, nginx: Nginx) -> None:
    client.request("PUT", "/put/file", body=ONE_MIB)
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (201, b"")
    assert (nginx.folder / "www/put/file").read_bytes() == ONE_MIB


def test_a_chunked_upload_is_stored_whole(client: http.client.HTTPConnection, nginx: Nginx) -> None:
    pieces = [b"x" * n for n in (1, 4096, 70_000, 3)]
    client.request("PUT", "/put/pieces", body=iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    answer = client.getresponse()
    answer.read()
    assert answer.status == 201
    assert (nginx.folder / "www/put/pieces").read_bytes() == b"".join(pieces)


def test_a_chunked_answer_is_passed_on_chunked(client: http.client.HTTPConnection, nginx: Nginx) -> None:
    answer, body = get(client, "/page.txt", accept_encoding="gzip")
    assert (answer.headers["transfer-encoding"], answer.headers["content-encoding"]) == ("chunked", "gzip")
    assert "content-length" not in answer.headers
    assert gzip.decompress(body) == (nginx.folder / "www/page.txt").read_bytes()


def test_304_has_no_body_and_keeps_the_connection(client: http.client.HTTPConnection, nginx: Nginx) -> None:
    before = nginx.connections()
    first, _ = get(client, "/1m")
    sock = client.sock
    second, body = get(client, "/1m", if_none_match=first.headers["etag"])
    assert (second.status, body) == (304, b"")
    assert second.headers["etag"] == first.headers["etag"]
    assert get(client, "/hello")[1] == b"hello"
    assert client.sock is sock
    assert len(nginx.connections() - before) <= 1


def test_206_gives_the_range(client: http.client.HTTPConnection) -> None:
    answer, body = get(client, "/1m", range="bytes=1000-70999")
    assert (answer.status, answer.headers["content-range"]) == (206, f"bytes 1000-70999/{len(ONE_MIB)}")
    assert body == ONE_MIB[1000:71000]


def test_several_ranges_pass(client: http.client.HTTPConnection) -> None:
    answer, body = get(client, "/1m", range="bytes=0-9,100-109")
    assert answer.status == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges")
    assert ONE_MIB[100:110] in body


def test_a_range_beyond_the_end_is_416(client: http.client.HTTPConnection) -> None:
    assert get(client, "/1m", range="bytes=9999999-")[0].status == 416


def test_an_answer_after_which_nginx_closes_leaves_the_client_connected(client: http.client.HTTPConnection) -> None:
    client.connect()
    sock = client.sock
    for _ in range(20):
        answer, body = get(client, "/hasty")
        assert (answer.status, body) == (200, b"bye")
        assert "connection" not in answer.headers  # hop-by-hop: nginx said `close` to the proxy, not to the client
    assert client.sock is sock


def test_requests_outlive_a_restart_of_nginx(client: http.client.HTTPConnection, nginx: Nginx) -> None:
    assert get(client, "/hello")[0].status == 200
    nginx.reload()
    for _ in range(50):
        assert get(client, "/hello")[0].status == 200

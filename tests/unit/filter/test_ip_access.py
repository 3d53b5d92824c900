"""The stream filter ip_access."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosn_mp.config import model
from mosn_mp.errors import ConfigError
from mosn_mp.filter.compile import compile_filters
from mosn_mp.filter.ip_access import IpAccess, IpAccessConfig, IpList
from mosn_mp.filter.testing import SampleStream


def status(config: dict[str, object], address: str = "10.0.0.1", **headers: str) -> int:
    """0 = let pass."""
    stream = SampleStream(remote_address=(address, 1), headers={k.replace("_", "-"): v for k, v in headers.items()})
    compile_filters([model.StreamFilter(type="ip_access", config=config)]).run("on_request", stream)
    return int(stream.response.status)


LISTS = {
    "default_action": "deny",
    "ips": [
        {"action": "deny", "addrs": ["10.1.2.3", "2001:db8::bad"]},
        {"action": "allow", "addrs": ["10.0.0.0/8", "2001:db8::/32"]},
    ],
}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", 0),
        ("10.255.255.255", 0),
        ("10.1.2.3", 403),
        ("10.1.2.4", 0),
        ("9.255.255.255", 403),
        ("11.0.0.0", 403),
        ("2001:db8::1", 0),
        ("2001:db8::bad", 403),
        ("2001:db9::1", 403),
        ("::ffff:10.0.0.1", 0),
        ("::ffff:10.1.2.3", 403),
        ("", 403),
    ],
)
def test_the_first_list_with_the_address_decides(address: str, expected: int) -> None:
    assert status(LISTS, address) == expected


def test_without_lists_everybody_passes_or_nobody() -> None:
    assert status({}) == 0
    assert status({"default_action": "deny"}) == 403


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10.9.9.9", 0),
        ("10.9.9.9, 1.2.3.4", 0),
        ("1.2.3.4, 10.9.9.9", 403),
        ("10.9.9.9:1234", 0),
        ("[2001:db8::1]:80", 0),
        ("2001:db8::1", 0),
        ("unknown", 403),
        ("", 0),
        (",10.9.9.9", 0),
        ("[", 403),
        (":80", 403),
        ("1" * 200, 403),
    ],
)
def test_a_header_names_the_client(value: str, expected: int) -> None:
    config = {**LISTS, "header": "X-Forwarded-For"}
    assert status(config, "10.0.0.1", x_forwarded_for=value) == expected


def test_a_broken_header_does_not_get_around_a_deny_list() -> None:
    assert status({"header": "x-real-ip", "ips": [{"action": "deny", "addrs": ["1.2.3.4"]}]}, x_real_ip="nonsense") == 403


def test_a_missing_header_means_the_connection() -> None:
    assert status({**LISTS, "header": "x-real-ip"}, "10.1.2.3") == 403
    assert status({**LISTS, "header": "x-real-ip"}, "10.0.0.1") == 0


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "host", "", "::1/200"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"stream_filters\[0\]\.config\.ips\[0\]\.addrs\[1\]"):
        status({"ips": [{"action": "deny", "addrs": ["10.0.0.0/8", text]}]})


networks = st.builds(
    lambda a, p: str(ipaddress.ip_network((a % 256 << 24 | a, p), strict=False)), st.integers(0, 255), st.integers(0, 32)
)


@given(
    lists=st.lists(st.tuples(st.booleans(), st.lists(networks, max_size=4)), max_size=5),
    default=st.booleans(),
    address=st.integers(0, 255).map(lambda a: ipaddress.IPv4Address(a << 24 | a)),
)
def test_flattened_ranges_agree_with_trying_the_lists_in_order(
    lists: list[tuple[bool, list[str]]], default: bool, address: ipaddress.IPv4Address
) -> None:
    word = {True: "allow", False: "deny"}
    config = IpAccessConfig(
        default_action=word[default],  # type: ignore[arg-type]
        ips=tuple(IpList(action=word[allowed], addrs=tuple(texts)) for allowed, texts in lists),  # type: ignore[arg-type]
    )
    found = [allowed for allowed, texts in lists if any(address in ipaddress.ip_network(text) for text in texts)]
    assert IpAccess(config).is_allowed(str(address)) == (found[0] if found else default)

"""The stream filter `ip_access`: answers 403 to clients whose address is not allowed (MOSN's filter of that name, same keys).

    {"type": "ip_access", "config": {
        "default_action": "deny", "header": "",
        "ips": [{"action": "deny",  "addrs": ["10.1.2.3"]},
                {"action": "allow", "addrs": ["10.0.0.0/8", "2001:db8::/32"]}]}}

The first list that holds the address decides, else default_action. With *header* the address is the first entry of that header
(X-Forwarded-For), and the connection's own if it is missing. Use *header* only behind a proxy that overwrites it: clients can
send it too. What is in the header but no address is denied (MOSN: falls to default_action, so it would let anybody pass).

All lists are flattened once into sorted, disjoint ranges, one table a family: a lookup is one bisection whatever their number.
"""

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from heapq import heappop, heappush
from socket import AF_INET, AF_INET6, inet_pton
from typing import ClassVar, Literal

from msgspec import Struct

from mosn_mp.errors import ConfigError
from mosn_mp.filter.stream_filter import STOP, StreamFilter, Verdict
from mosn_mp.filter.stream_view import StreamView

Action = Literal["allow", "deny"]
Range = tuple[int, int, bool]  # first and last address, allowed

REMEMBERED = 4096  # addresses whose verdict is kept: a busy client is not parsed again
LONGEST = 64  # bytes of an address with a port and a zone; more is no address
_MAPPED = 0xFFFF  # ::ffff:a.b.c.d, an IPv4 client of an IPv6 socket


class IpList(Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses and networks that are treated alike."""

    action: Action
    addrs: tuple[str, ...]

    def __post_init__(self) -> None:
        for index, text in enumerate(self.addrs):
            try:
                ipaddress.ip_network(text)
            except ValueError as e:
                raise ConfigError(f"addrs[{index}]", f"{text!r} is not an address or network such as 10.0.0.0/8: {e}") from e


class IpAccessConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may send requests."""

    default_action: Action = "allow"
    header: str = ""
    ips: tuple[IpList, ...] = ()


class _Table:
    """Ranges of one address family that follow on each other without a gap."""

    __slots__ = ("_starts", "_allowed")

    def __init__(self, ranges: list[Range], default: bool) -> None:
        self._starts, self._allowed = [0], [default]
        changes = sorted([(first, i) for i, (first, _, _) in enumerate(ranges)] + [(r[1] + 1, i) for i, r in enumerate(ranges)])
        open_ranges: list[int] = []  # a heap: the smallest number is the list named first
        for index, (at, number) in enumerate(changes):
            if ranges[number][0] == at:
                heappush(open_ranges, number)
            if index + 1 < len(changes) and changes[index + 1][0] == at:
                continue
            while open_ranges and ranges[open_ranges[0]][1] < at:
                heappop(open_ranges)
            self._add(at, ranges[open_ranges[0]][2] if open_ranges else default)

    def _add(self, start: int, allowed: bool) -> None:
        if self._starts[-1] == start:
            self._allowed[-1] = allowed
        elif self._allowed[-1] != allowed:
            self._starts.append(start)
            self._allowed.append(allowed)

    def is_allowed(self, address: int) -> bool:
        """What the first list that holds *address* says."""
        return self._allowed[bisect_right(self._starts, address) - 1]


class IpAccess(StreamFilter):
    """Lets requests pass by the client's address."""

    Config: ClassVar[type[Struct]] = IpAccessConfig

    def __init__(self, config: IpAccessConfig) -> None:
        super().__init__(config)
        default = config.default_action == "allow"
        self._header = config.header.encode("latin-1")
        self._four = _Table(list(_ranges(config.ips, 4)), default)
        self._six = _Table(list(_ranges(config.ips, 6)), default)
        self.is_allowed = lru_cache(REMEMBERED)(self._decide)

    def on_request(self, stream: StreamView) -> Verdict:
        """Deny or let pass."""
        address = self._header and _first(stream.request.get(self._header))
        if not self.is_allowed(address or stream.remote_address[0]):
            stream.reply(403, b"access denied\n")
            return STOP
        return None

    def _decide(self, text: str) -> bool:
        """True if the client with the address *text*, with or without a port, may pass."""
        try:
            if ":" not in text:
                return self._four.is_allowed(int.from_bytes(inet_pton(AF_INET, text), "big"))
            number = int.from_bytes(inet_pton(AF_INET6, text), "big")
        except (OSError, ValueError):
            return False
        return self._four.is_allowed(number & 0xFFFFFFFF) if number >> 32 == _MAPPED else self._six.is_allowed(number)


def _ranges(lists: Iterable[IpList], version: int) -> Iterable[Range]:
    for one in lists:
        for text in one.addrs:
            network = ipaddress.ip_network(text)
            if network.version == version:
                yield int(network.network_address), int(network.broadcast_address), one.action == "allow"


def _first(value: bytes | None) -> str:
    """The first entry of a header without its port, "" if there is none."""
    entry = (value or b"").partition(b",")[0].strip()
    if len(entry) > LONGEST:
        return "-"  # no address: denied
    text = entry.decode("latin-1")
    if text.startswith("["):
        return text[1:].partition("]")[0] or "-"
    return text.partition(":")[0] or "-" if text.count(":") == 1 else text

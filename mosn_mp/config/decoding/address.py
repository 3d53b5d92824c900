"""Addresses as a configuration writes them: `127.0.0.1:80`, `[::1]:80`."""

import ipaddress
import re
from typing import NamedTuple

from mosn_mp.config.decoding.unserved import not_in_this_version

_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4_AND_PORT = re.compile(rf"({_BYTE}(?:\.{_BYTE}){{3}}):([1-9][0-9]{{0,4}})")  # the most frequent, at a tenth of the time


class Address(NamedTuple):
    """An IP address in its canonical form and a port."""

    ip: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        """True for IPv6."""
        return ":" in self.ip

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.is_ipv6 else f"{self.ip}:{self.port}"


def parse_address(text: str) -> Address:
    """The Address that *text* (`ip:port` or `[ip6]:port`) means; ValueError says what is wrong with it."""
    found = _IPV4_AND_PORT.fullmatch(text)
    if found is not None and int(found[2]) <= 65535:
        return Address(found[1], int(found[2]))
    if text.startswith(("/", "@", "unix:")):
        raise ValueError(not_in_this_version("a unix socket"))
    host, colon, port = text.rpartition(":")
    if not colon or host.endswith(":") or (host.count(":") and not host.startswith("[")):
        example = f"[{text}]:80" if _is_ip(text) and ":" in text else f"{text}:80" if _is_ip(text) else "127.0.0.1:80"
        raise ValueError(f"not an address with a port, as in '{example}'")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"'{port}' is not a port (1 to 65535)")
    if host == "":
        raise ValueError(f"the IP address is missing; for all of this machine's write '0.0.0.0:{port}' or '[::]:{port}'")
    ip = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not _is_ip(ip):
        if ip == "localhost":
            raise ValueError(f"'localhost' is not an IP address; write '127.0.0.1:{port}'")
        raise ValueError(f"'{ip}' is not an IP address, and {not_in_this_version('DNS')}")
    return Address(str(ipaddress.ip_address(ip)), int(port))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

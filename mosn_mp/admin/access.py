"""Who may ask the admin API what: browsers on behalf of a web page nothing, whoever is no browser may read, changes take a proof.

A page that a browser shows can send requests to this machine, or to a name that its DNS server then turns to this machine
(rebinding). Hence names are checked (Host, RFC 9110 section 7.2), where a request comes from (Origin, RFC 6454 section 7;
Sec-Fetch-Site, W3C Fetch Metadata), and a POST has a content type that no page can send without asking first (CORS).

what                               is answered
Host is no name of ours            421
Origin or Sec-Fetch-Site: a page   403
POST that is no JSON               415
POST without token                 401, unless it comes by the Unix socket, or the operator wants it so
"""

import hmac
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

JSON_TYPE = "application/json"
OWN_SITES = ("", "same-origin", "none")  # Sec-Fetch-Site of a page of ours, or of an address that somebody typed in


class Access(NamedTuple):
    """What the configuration says of it."""

    hosts: frozenset[str] = frozenset()  # names in lower case, beside loopback's and the address that the client came to
    token: bytes = b""  # what a change has to bring; b"" = there is none
    is_open: bool = False  # anybody may make changes


class Caller(NamedTuple):
    """The other end of a connection."""

    name: str  # for the log
    local_ip: str = ""  # the address of ours that it came to
    is_local: bool = False  # a process of this machine
    is_trusted: bool = False  # it came by the Unix socket, and the kernel says that it may


class Question(NamedTuple):
    """The head of a request, as far as it decides whether it is answered; "" = not there."""

    method: str
    authority: str
    origin: str
    fetch_site: str
    content_type: str
    authorization: str


class Refusal(NamedTuple):
    """Why it is not answered."""

    status: int
    problem: str


def tcp_caller(ip: str, port: int, local_ip: str) -> Caller:
    """Who came from *ip* and *port* to our *local_ip*."""
    return Caller(f"{ip} port {port}", local_ip, is_local=_plain(ip).is_loopback or ip == local_ip)


def judge(question: Question, caller: Caller, access: Access) -> Refusal | None:
    """Why *question* is refused, None if it may be answered."""
    refusal = None if caller.is_trusted else _judge_page(question, caller, access)
    if refusal is None and question.method == "POST":
        refusal = _judge_change(question, caller, access)
    return refusal


def _judge_page(question: Question, caller: Caller, access: Access) -> Refusal | None:
    """Is it sent on behalf of somebody's web page?"""
    host = _host_of(question.authority)
    if question.authority and not (host == "localhost" or host in access.hosts or _is_address(host, caller.local_ip)):
        return Refusal(421, f"'{host}' is no name of this server: add it to admin.hosts")
    scheme, _, site = question.origin.partition("://")
    if question.origin and (scheme not in ("http", "https") or site.lower() != question.authority.lower()):
        return Refusal(403, "requests of web pages are not answered")
    if question.fetch_site not in OWN_SITES:
        return Refusal(403, "requests of web pages are not answered: open the address itself")
    return None


def _judge_change(question: Question, caller: Caller, access: Access) -> Refusal | None:
    if question.content_type.partition(";")[0].strip().lower() != JSON_TYPE:
        return Refusal(415, f"write 'Content-Type: {JSON_TYPE}'")
    if caller.is_trusted or access.is_open:
        return None
    scheme, _, token = question.authorization.partition(" ")
    given = token.strip().encode("latin-1", "replace")
    if access.token and scheme.lower() == "bearer" and hmac.compare_digest(given, access.token):
        return None
    if access.token:
        return Refusal(401, "write 'Authorization: Bearer TOKEN', with the token in the file that admin.token_file names")
    return Refusal(403, "changes take admin.token_file, admin.address.pipe or admin.unauthenticated_changes")


def _host_of(authority: str) -> str:
    """The host in `host:port`, `[::1]:port` or either without a port."""
    has_port = ":" in authority and not authority.endswith("]")
    return (authority.rpartition(":")[0] if has_port else authority).strip("[]").lower()


def _is_address(host: str, local_ip: str) -> bool:
    """Whether *host* is an address of this machine: loopback, or the one that the client came to."""
    try:
        found = _plain(host)
    except ValueError:
        return False
    return found.is_loopback or (bool(local_ip) and found == _plain(local_ip))


def _plain(text: str) -> IPv4Address | IPv6Address:
    """The address *text*; of an IPv4 client of an IPv6 socket (::ffff:10.0.0.1) the IPv4 address."""
    found = ip_address(text)
    return found if found.version == 4 else found.ipv4_mapped or found

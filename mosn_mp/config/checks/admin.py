"""Checks of the admin section: where it listens, and that whoever is to make changes can."""

import os
from collections.abc import Mapping

from mosn_mp.config.checks.addresses import check_address
from mosn_mp.config.identity import find_identity
from mosn_mp.config.model import Admin, Pipe, Server, SocketAddress
from mosn_mp.config.problems import Findings, Path, show
from mosn_mp.config.token import read_token
from mosn_mp.errors import ConfigError

ADDRESS: Path = ("admin", "address")
LONGEST_PATH = 107  # sockaddr_un holds 108 bytes, one of which ends it


def check_admin(admin: Admin, server: Server, taken: Mapping[str, str], findings: Findings) -> None:
    """Add to *findings* what is wrong with *admin* of *server*; *taken* tells the addresses of listeners, and whose they are."""
    where = admin.address
    if where.socket_address is None and where.pipe is None and not findings.has_error_within(("admin",)):
        findings.error(ADDRESS, "give 'socket_address', 'pipe' or both")
    if where.socket_address is not None:
        _check_socket_address(where.socket_address, taken, findings)
    if where.pipe is not None:
        _check_pipe(where.pipe, findings)
    for index, name in enumerate(admin.hosts):
        if name and (":" in name or "/" in name or "*" in name):
            problem = f"{show(name)} is not the name of a host; write it without scheme, port and '*'"
            findings.error(("admin", "hosts", index), problem, value=name)
    if admin.token_file:
        _check_token_file(admin.token_file, server, findings)
    if admin.debug and not (admin.token_file or where.pipe or admin.unauthenticated_changes):
        problem = "nobody can make a change: give 'token_file', 'address.pipe' or 'unauthenticated_changes' too"
        findings.warning(("admin", "debug"), problem)


def _check_socket_address(address: SocketAddress, taken: Mapping[str, str], findings: Findings) -> None:
    path = (*ADDRESS, "socket_address")
    ip = address.address
    if not ip or not address.port_value:
        return
    text = f"[{ip}]:{address.port_value}" if ":" in ip else f"{ip}:{address.port_value}"
    canonical = check_address(text, (*path, "address"), findings)
    if canonical in taken:
        findings.error((*path, "port_value"), f"{text} is taken already by {taken[canonical]}", value=text)


def _check_token_file(file: str, server: Server, findings: Findings) -> None:
    try:
        identity = find_identity(server)
    except ConfigError:
        return  # said elsewhere
    try:
        read_token(file, (os.geteuid(), *((identity.uid,) if identity is not None else ())))
    except ConfigError as e:
        findings.error(("admin", "token_file"), e.problem, value=file)


def _check_pipe(pipe: Pipe, findings: Findings) -> None:
    if "\0" in pipe.path:
        findings.error((*ADDRESS, "pipe", "path"), "a path has no NUL", value=pipe.path)
    elif len(os.fsencode(pipe.path)) > LONGEST_PATH:
        problem = f"{show(pipe.path)} is too long for the path of a Unix socket; at most {LONGEST_PATH} bytes"
        findings.error((*ADDRESS, "pipe", "path"), problem, value=pipe.path)

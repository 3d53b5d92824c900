"""The admin API: where it listens and whom it answers."""

from typing import Annotated

from msgspec import Meta

from mosn_mp.config.model.values import Frozen, Name


class SocketAddress(Frozen, frozen=True, kw_only=True):
    """An IP address and a port, in Envoy's words."""

    address: Name
    port_value: Annotated[int, Meta(ge=1, le=65535)]


class Pipe(Frozen, frozen=True, kw_only=True):
    """A Unix socket, in Envoy's words."""

    path: Name  # absolute after load()
    mode: Annotated[str, Meta(extra={"choices": ("0600", "0660"), "what": "mode"})] = "0600"


class AdminAddress(Frozen, frozen=True, kw_only=True):
    """Envoy's wrapper around a SocketAddress or a Pipe; here it may be both, and has to be one."""

    socket_address: SocketAddress | None = None
    pipe: Pipe | None = None


class Admin(Frozen, frozen=True, kw_only=True):
    """Where the admin API listens, and whom it answers."""

    address: AdminAddress
    debug: bool = False  # MOSN's build tag mosn_debug: serve /debug/update_config and /debug/update_route
    hosts: tuple[Name, ...] = ()  # names of this server in Host, beside loopback's and the addresses that it listens at
    token_file: str = ""  # absolute after load(); "" = there is no token
    unauthenticated_changes: bool = False  # POST takes no token
    env: tuple[Name, ...] = ()  # environment variables that are shown

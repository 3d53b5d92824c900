"""Checks of protocols: names and lists of names."""

from typing import Protocol, cast

from mosn_mp.config.model import AUTO, Proxy
from mosn_mp.config.problems import Findings, Path, nearest, show
from mosn_mp.config.questions import ask
from mosn_mp.config.unserved import UNSERVED_PROTOCOLS, not_in_this_version
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import Catalogue


class Protocols(Protocol):
    """What mosn_mp.codec.compile knows."""

    def names(self) -> tuple[str, ...]:
        """The protocols that can be named."""

    def named(self, name: str) -> object:
        """The protocol of that name; ConfigError if it cannot be loaded."""


class ProtocolCheck:
    """Checks names of protocols."""

    def __init__(self, catalogue: Catalogue, findings: Findings) -> None:
        self._findings = findings
        self._protocols = cast(Protocols | None, ask(catalogue, "protocols", (), findings))

    def check_name(self, name: str, path: Path) -> None:
        """Check that *name*, if it is one, is a protocol's and that it can be loaded."""
        if not name or self._protocols is None:
            return
        served = self._protocols.names()
        if name in served:
            try:
                self._protocols.named(name)
            except ConfigError as e:
                self._findings.error(path, e.problem, value=name)
        elif name in UNSERVED_PROTOCOLS:
            self._findings.error(path, not_in_this_version(f"the protocol {show(name)}"), value=name)
        else:
            near = nearest(name, (*served, *UNSERVED_PROTOCOLS))
            problem = f"unknown protocol {show(name)}" + ("" if near else f"; there are {', '.join(served)}")
            self._findings.error(path, problem, value=name, suggestion=near)

    def check_proxy(self, proxy: Proxy, path: Path) -> None:
        """Check the protocols of the two sides of a proxy."""
        at = (*path, "downstream_protocol")
        names = proxy.downstream_protocols
        for number, name in enumerate(names):
            if not name or name == AUTO:
                problem = f"{show(proxy.downstream_protocol)} is not a list of protocols; write 'Http1,bolt', or 'Auto' for all"
                self._findings.error(at, problem, value=proxy.downstream_protocol)
            elif name in names[:number]:
                self._findings.error(at, f"the protocol {show(name)} is given twice", value=proxy.downstream_protocol)
            else:
                self.check_name(name, at)
        if proxy.upstream_protocol != proxy.downstream_protocol:
            self._check_one(proxy.upstream_protocol, (*path, "upstream_protocol"))

    def _check_one(self, name: str, path: Path) -> None:
        if name == AUTO or "," in name:
            problem = f"{show(name)} is not one protocol; leave it out to speak what the client speaks"
            self._findings.error(path, problem, value=name)
        else:
            self.check_name(name, path)

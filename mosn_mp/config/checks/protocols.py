"""Checks of protocols: names, lists of names, and files of the user's that add a protocol."""

from collections.abc import Iterable
from typing import Protocol, cast

from mosn_mp.config.checks.questions import ask
from mosn_mp.config.decoding.unserved import UNSERVED_PROTOCOLS, not_in_this_version
from mosn_mp.config.model import AUTO, Config, Proxy
from mosn_mp.config.problems import Findings, Path, nearest, show
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import Catalogue

PYTHON = "python"
UNSERVED_TYPES = ("go-plugin", "wasm")


class Protocols(Protocol):
    """What mosn_mp.codec.compile makes of third_part_codec."""

    def names(self) -> tuple[str, ...]:
        """The protocols that can be named."""

    def named(self, name: str) -> object:
        """The protocol of that name; ConfigError if it cannot be loaded."""

    def mismatch(self, downstream: str, upstream: str) -> str:
        """Why requests of *downstream* clients cannot go upstream as *upstream*; "" if they can."""


class ProtocolCheck:
    """Checks names of protocols against what *config* can name."""

    def __init__(self, config: Config, catalogue: Catalogue, findings: Findings) -> None:
        self._findings = findings
        path: Path = ("third_part_codec", "codecs")
        for index, codec in enumerate(config.third_part_codec.codecs):
            if codec.enable and codec.type != PYTHON:
                self._check_type(codec.type, (*path, index, "type"))
        # what is wrong with a file is reported there; the names that it would have added are not missed too
        is_sound = not findings.has_error_within(path)
        findings.look_at(path)
        files = config.third_part_codec.codecs if is_sound else ()
        self._protocols = cast(Protocols | None, ask(catalogue, "protocols", path, findings, files))
        self._is_complete = is_sound and self._protocols is not None

    def _check_type(self, kind: str, path: Path) -> None:
        if kind in UNSERVED_TYPES:
            self._findings.error(path, not_in_this_version(f"codec type {show(kind)}"), value=kind)
        elif kind:
            near = nearest(kind, (PYTHON,))
            self._findings.error(path, f"unknown codec type {show(kind)}; expected {show(PYTHON)}", value=kind, suggestion=near)

    def check_name(self, name: str, path: Path) -> None:
        """Check that *name*, if it is one, is a protocol's and that it can be loaded."""
        if not name or self._protocols is None:
            return
        served = self._protocols.names()
        if name in served:
            self._findings.look_at(path)
            try:
                self._protocols.named(name)
            except ConfigError as e:
                self._findings.error(path, e.problem, value=name)
        elif name in UNSERVED_PROTOCOLS:
            self._findings.error(path, not_in_this_version(f"the protocol {show(name)}"), value=name)
        elif self._is_complete:
            near = nearest(name, (*served, *UNSERVED_PROTOCOLS))
            problem = f"unknown protocol {show(name)}" + ("" if near else f"; there are {', '.join(served)}")
            self._findings.error(path, problem, value=name, suggestion=near)

    def check_names(self, named: Iterable[tuple[str, Path]]) -> None:
        """Check each name, with its path."""
        for name, path in named:
            self.check_name(name, path)

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
            self._check_pair(proxy, (*path, "upstream_protocol"))

    def _check_pair(self, proxy: Proxy, path: Path) -> None:
        """Check that every client's requests can go upstream as the proxy wants it."""
        upstream = proxy.upstream_protocol
        if not upstream or self._protocols is None or self._findings.has_error_within(path[:-1]):
            return
        for name in proxy.downstream_protocols or self._protocols.names():
            problem = self._protocols.mismatch(name, upstream)
            if problem:
                self._findings.error(path, problem, value=upstream)

    def _check_one(self, name: str, path: Path) -> None:
        if name == AUTO or "," in name:
            problem = f"{show(name)} is not one protocol; leave it out to speak what the client speaks"
            self._findings.error(path, problem, value=name)
        else:
            self.check_name(name, path)

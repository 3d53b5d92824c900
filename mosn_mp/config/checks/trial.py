"""Users' Python that a configuration names, tried in a process of its own before this one imports it."""

import msgspec
from msgspec import Struct

from mosn_mp.config.checks.crosscheck import check_users_python
from mosn_mp.config.model import Config
from mosn_mp.config.problems import Finding, Findings, parse_path, path_text
from mosn_mp.plugin import BUILT_IN, Catalogue
from mosn_mp.plugin.trial import Limits, Note, run_in_trial


class _Found(Struct):
    """What a trial answers."""

    errors: list[Finding]
    warnings: list[Finding]


def passes_trial(config: Config, catalogue: Catalogue, findings: Findings, served: Config | None, limits: Limits) -> bool:
    """Whether users' Python that *config* names does no harm; if not, all that check_users_python() finds is in *findings*.

    What *served* names was tried when it was judged.
    """
    if not _names_users_python(config, catalogue) or _is_tried(config, served):
        return True
    _import_ours(config, catalogue)
    try:
        outcome = run_in_trial(lambda note: _try(config, catalogue, findings, note), limits)
        found = msgspec.msgpack.decode(outcome.answer, type=_Found) if outcome.answer else _Found([], [])
    except OSError as e:
        findings.error((), f"there can be no process to try users' Python in: {e.strerror}")
        return False
    except msgspec.DecodeError:
        findings.error((), "users' Python fails in more ways than can be said")
        return False
    if outcome.problem:
        findings.does_harm = True
        findings.error(parse_path(outcome.note), outcome.problem)
    findings.take(found.errors, found.warnings)
    return not (outcome.problem or found.errors)


def _names_users_python(config: Config, catalogue: Catalogue) -> bool:
    return (
        any(codec.enable for codec in config.third_part_codec.codecs)
        or any(catalogue.is_users("codec", name) for name in catalogue.names("codec"))
        or any(
            any(catalogue.is_users("stream_filter", entry.type) for entry in listener.stream_filters)
            or any(
                catalogue.is_users("access_log_variable", name)
                for log in listener.access_logs
                for name in log.log_format.split("%")[1::2]
            )
            for server in config.servers
            for listener in server.listeners
        )
    )


def _is_tried(config: Config, served: Config | None) -> bool:
    if served is None or served.third_part_codec != config.third_part_codec:
        return False
    known = {id(listener) for server in served.servers for listener in server.listeners}
    return all(id(listener) in known for server in config.servers for listener in server.listeners)


def _import_ours(config: Config, catalogue: Catalogue) -> None:
    """What the child and then this process need is imported once."""
    for check in ("access_log", "protocols", "regex", "router", "stream_filters"):
        catalogue.resolve("check", check)
    named = {
        name
        for server in config.servers
        for listener in server.listeners
        for chain in listener.filter_chains
        for entry in chain.filters
        for name in (*entry.config.downstream_protocols, entry.config.upstream_protocol)
    }
    for name in named & BUILT_IN["codec"].keys():
        catalogue.resolve("codec", name)


def _try(config: Config, catalogue: Catalogue, findings: Findings, note: Note) -> bytes:
    """In a child of its own: b"" if nothing is wrong with users' Python, otherwise what is."""
    errors, warnings = len(findings.errors), len(findings.warnings)
    findings.on_look = lambda path: note(path_text(path))
    with findings.bounded():
        check_users_python(config, catalogue, findings)
    if len(findings.errors) == errors:
        return b""
    return msgspec.msgpack.encode(_Found(findings.errors[errors:], findings.warnings[warnings:]))

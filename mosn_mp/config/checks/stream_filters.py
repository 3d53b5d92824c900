"""Stream filters named by a configuration: classes from the catalogue, their configuration decoded by the class's `Config`."""

from msgspec import Struct

from mosn_mp.config.decoding.decode import Decoder
from mosn_mp.config.decoding.secrets import REDACTED, redacted, without_secrets
from mosn_mp.config.model import StreamFilter
from mosn_mp.config.problems import Findings, Path, TooManyError, path_text, show
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import CATALOGUE, Catalogue
from mosn_mp.plugin.blame import as_problem

KIND = "stream_filter"


def bind(entry: StreamFilter, catalogue: Catalogue = CATALOGUE) -> tuple[type, Struct | None]:
    """The class that *entry* names and its configuration as an instance of the class's `Config` (None if it has none).

    For workers, which get the entry in a snapshot; ConfigError, with a path that starts at the entry, if the class cannot be
    imported or does not take the configuration.
    """
    findings = Findings()
    bound, config = decode_entry(entry, (), catalogue, findings)
    if bound is None or findings.errors:
        first = findings.errors[0]
        raise ConfigError(path_text(first.path), first.problem)
    return bound, config


def decode_entry(entry: StreamFilter, path: Path, catalogue: Catalogue, findings: Findings) -> tuple[type | None, Struct | None]:
    """What bind() gives, with everything that is wrong added to *findings* instead of raised."""
    try:
        bound = catalogue.resolve(KIND, entry.type, entry.python_path)
    except ConfigError as e:
        findings.error((*path, "type"), e.problem, value=entry.type)
        return None, None
    try:
        with as_problem(f"the filter {show(entry.type)} is broken"):
            return _decode(bound, entry, path, findings)
    except TooManyError:
        raise
    except ConfigError as e:
        findings.error((*path, "config"), without_secrets(e.problem, entry.config))
        return None, None


def _decode(bound: object, entry: StreamFilter, path: Path, findings: Findings) -> tuple[type | None, Struct | None]:
    if not isinstance(bound, type):
        findings.error((*path, "type"), f"{show(entry.type)} is not a class", value=entry.type)
        return None, None
    config_class = getattr(bound, "Config", None)
    if config_class is None:
        if entry.config:
            findings.error((*path, "config"), f"the filter {show(entry.type)} takes no configuration", value=entry.config)
        return bound, None
    if not (isinstance(config_class, type) and issubclass(config_class, Struct)):
        findings.error((*path, "type"), f"the filter {show(entry.type)} is broken: its Config is not a msgspec.Struct class")
        return bound, None
    return bound, Decoder(findings).decode_struct(config_class, entry.config, (*path, "config"))


def shown_config(entry: StreamFilter, catalogue: Catalogue = CATALOGUE) -> object:
    """The configuration of *entry* without the secrets in it; REDACTED if nobody is there to say which they are."""
    try:
        bound = catalogue.resolve(KIND, entry.type, entry.python_path)
    except ConfigError:
        return REDACTED
    config_class = getattr(bound, "Config", None)
    return redacted(config_class, entry.config) if isinstance(config_class, type) else entry.config

"""Questions about a configuration that only the code above can answer: it is named in the catalogue, as kind `check`."""

from collections.abc import Callable
from typing import cast

from mosn_mp.config.problems import Findings, Path, parse_path, show
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import Catalogue


def ask(catalogue: Catalogue, check: str, path: Path, findings: Findings, *arguments: object) -> object:
    """What the catalogue's *check* says of the value at *path*; what it refuses is an error at the path that it names below."""
    try:
        return cast(Callable[..., object], catalogue.resolve("check", check))(*arguments)
    except ConfigError as e:
        findings.error((*path, *parse_path(e.path)), e.problem)
    except ValueError as e:
        findings.error(path, f"{show(arguments[0])}: {e}", value=arguments[0])
    return None

"""The running configuration as /api/v1/config_dump shows it, after MOSN's configmanager.effectiveConfig; secrets are hidden."""

from typing import Any

from mosn_mp.config.decoding.secrets import REDACTED

SECRET_ENDINGS = ("private_key", "privatekey", "password", "secret", "token")
PEM_SECRET = "PRIVATE KEY-----"

# Query parameter -> (section, whether it names one object of it)
SELECTORS = {
    "mosnconfig": ("mosn_config", False),
    "allrouters": ("routers", False),
    "allclusters": ("cluster", False),
    "alllisteners": ("listener", False),
    "router": ("routers", True),
    "cluster": ("cluster", True),
    "listener": ("listener", True),
}


def redact(value: Any, key: str = "") -> Any:
    """A copy of the JSON value *value* in which private keys, passwords and tokens are `***REDACTED***`."""
    if isinstance(value, dict):
        return {name: redact(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact(inner, key) for inner in value]
    if isinstance(value, str) and value:
        is_secret = key.lower().replace("-", "_").endswith(SECRET_ENDINGS)
        return REDACTED if is_secret or PEM_SECRET in value else value
    return value


def dump_sections(config: dict[str, Any]) -> dict[str, Any]:
    """The sections that MOSN dumps: `mosn_config` without what is listed by name in `listener`, `routers` and `cluster`."""
    clean = redact(config)
    servers = clean.get("servers") or []
    manager = clean.get("cluster_manager") or {}
    listeners = [listener for server in servers for listener in server.pop("listeners", [])]
    routers = [router for server in servers for router in server.pop("routers", [])]
    clusters = manager.pop("clusters", [])
    return {
        "mosn_config": clean,
        "listener": {listener.get("name") or listener.get("address", ""): listener for listener in listeners},
        "cluster": {cluster.get("name", ""): cluster for cluster in clusters},
        "routers": {router.get("router_config_name", ""): router for router in routers},
    }


def select(config: dict[str, Any], parameter: str, name: str) -> Any:
    """What the query `parameter=name` asks for; KeyError(text) says what is wrong with it."""
    if parameter not in SELECTORS:
        raise KeyError(f"unknown parameter '{parameter}'; there are {', '.join(SELECTORS)}")
    section, is_one = SELECTORS[parameter]
    found = dump_sections(config)[section]
    if not is_one:
        return found
    if name not in found:
        raise KeyError(f"no {parameter} '{name}'; there are {', '.join(found) or 'none'}")
    return found[name]

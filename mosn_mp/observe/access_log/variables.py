"""The `%variables%` of an access log format: their names, what each shows, and how a format string becomes steps.

Names are MOSN's (pkg/types/variable.go). Where MOSN's own value is a slip, the useful value is shown:
`response_flag` says whether any flag is set (MOSN asks for flag 0, which is never set), `response_flags` gives the letters of
errors.REASONS, `upstream_transport_failure_reason` the reason in words.

A name that is in no table here is a function in plain Python: `%package.module:function%`, or the name of an entry point of the
kind 'access_log_variable'. It is called with the Record and returns bytes, str, int or None.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import NamedTuple

from mosn_mp.errors import ConfigError
from mosn_mp.plugin import CATALOGUE

KIND = "access_log_variable"

DEFAULT_FORMAT = (
    "%start_time% %trace_id% %connection_id% %upstream_connection_id% %request_received_duration% %response_received_duration% "
    "%bytes_sent% %bytes_received% %protocol% %response_code% %duration% %response_flag% %response_code% "
    "%upstream_local_address% %downstream_local_address% %downstream_remote_address% %upstream_host%"
)

# The request's parts have three spellings each: bound to a protocol, neutral, and MOSN's x-mosn- variable.
PARTS = {
    "scheme": (OP_PART, PART_SCHEME),
    "method": (OP_PART, PART_METHOD),
    "length": (OP_COUNT, NUM_REQUEST_LENGTH),
    "path": (OP_PART, PART_PATH),
    "path_original": (OP_PART, PART_PATH),  # paths are forwarded as they came: both names show the same
    "uri": (OP_PART, PART_URI),
    "arg": (OP_PART, PART_QUERY),
}

VARIABLES = {
    "start_time": (OP_START_TIME, 0),
    "duration": (OP_DURATION, DUR_ALL),
    "request_received_duration": (OP_DURATION, DUR_REQUEST_RECEIVED),
    "response_received_duration": (OP_DURATION, DUR_RESPONSE_RECEIVED),
    "request_finished_duration": (OP_DURATION, DUR_REQUEST_FINISHED),
    "process_time_duration": (OP_DURATION, DUR_PROCESS),
    "bytes_sent": (OP_COUNT, NUM_BYTES_SENT),
    "bytes_received": (OP_COUNT, NUM_BYTES_RECEIVED),
    "response_code": (OP_COUNT, NUM_STATUS),
    "x-mosn-status": (OP_COUNT, NUM_STATUS),
    "attempts": (OP_COUNT, NUM_ATTEMPTS),
    "connection_id": (OP_IDENT, NUM_CONNECTION),
    "upstream_connection_id": (OP_IDENT, NUM_UPSTREAM_CONNECTION),
    "stream_id": (OP_IDENT, NUM_STREAM),
    "listener_port": (OP_IDENT, NUM_LISTENER_PORT),
    "protocol": (OP_NAME, NAME_PROTOCOL),
    "downstream_protocol": (OP_NAME, NAME_PROTOCOL),
    "upstream_protocol": (OP_NAME, NAME_UPSTREAM_PROTOCOL),
    "listener_name": (OP_NAME, NAME_LISTENER),
    "listener_type": (OP_NAME, NAME_LISTENER_TYPE),
    "x-mosn-direction": (OP_NAME, NAME_LISTENER_TYPE),
    "route_name": (OP_NAME, NAME_ROUTE),
    "upstream_cluster": (OP_NAME, NAME_CLUSTER),
    "upstream_host": (OP_NAME, NAME_HOST),
    "requested_server_name": (OP_NAME, NAME_SERVER),
    "trace_id": (OP_NAME, NAME_TRACE),
    "downstream_remote_address": (OP_ADDRESS, ADDR_DOWNSTREAM_REMOTE),
    "downstream_local_address": (OP_ADDRESS, ADDR_DOWNSTREAM_LOCAL),
    "upstream_local_address": (OP_ADDRESS, ADDR_UPSTREAM_LOCAL),
    "response_flag": (OP_FLAG, 0),
    "response_flags": (OP_FLAGS, 0),
    "upstream_transport_failure_reason": (OP_FAILURE, 0),
    "authority": (OP_PART, PART_AUTHORITY),
    "x-mosn-host": (OP_PART, PART_AUTHORITY),
    "x-mosn-scheme": (OP_PART, PART_SCHEME),
    "x-mosn-method": (OP_PART, PART_METHOD),
    "x-mosn-path": (OP_PART, PART_PATH),
    "x-mosn-path-original": (OP_PART, PART_PATH),
    "x-mosn-querystring": (OP_PART, PART_QUERY),
}
for _part, _what in PARTS.items():
    VARIABLES[_part] = VARIABLES["request_" + _part] = _what
for _part in ("scheme", "path", "uri", "arg"):
    VARIABLES[_part.upper()] = PARTS[_part]  # MOSN's protocol resources (api.SCHEME, api.PATH, ...)

# A prefix takes the rest of the name as the key that it looks up.
PREFIXES = {
    "request_header_": OP_REQUEST_HEADER,
    "response_header_": OP_RESPONSE_HEADER,
    "header_": OP_REQUEST_HEADER,
    "request_cookie_": OP_COOKIE,
    "cookie_": OP_COOKIE,
    "request_arg_": OP_QUERY_ARG,
    "arg_": OP_QUERY_ARG,
}
PROTOCOLS = {"Http1_": ONLY_HTTP1, "Http2_": ONLY_HTTP2}

# MOSN knows them, nothing in this version can give them a value.
LATER = frozenset(
    {
        "connection_pool_index",
        "upstream_index",
        "x-mosn-rpc-service",
        "x-mosn-rpc-method",
        "x-mosn-router-meta",
        "x-mosn-req-raw-data",
        "x-mosn-resp-raw-data",
        "proxy_try_timeout",
        "proxy_global_timeout",
        "proxy_disable_retry",
        "proxy_hijack_status",
        "proxy_gzip_switch",
        "proxy_direct_response",
        "protocol_config",
    }
)

Function = Callable[..., object]  # of the Record


class Step(NamedTuple):
    """One step of a compiled format."""

    op: int
    arg: int = 0
    protocol: int = ANY_PROTOCOL
    text: bytes = b""
    function: Function | None = None


def variable_names() -> list[str]:
    """Every built-in name; a prefix stands with `<key>` behind it."""
    names = list(VARIABLES) + [prefix + "<key>" for prefix in PREFIXES]
    for protocol in PROTOCOLS:
        names += [protocol + "request_" + part for part in PARTS]
        names += [protocol + prefix + "<key>" for prefix in PREFIXES if prefix.startswith(("request_", "cookie_"))]
    return sorted(names)


def find_step(name: str) -> Step | None:
    """The step of the built-in variable *name*, None = there is none."""
    protocol = ANY_PROTOCOL
    bare = name
    for start, number in PROTOCOLS.items():
        if name.startswith((start + "request_", start + "cookie_")):
            protocol, bare = number, name.removeprefix(start)
    if bare in VARIABLES:
        op, arg = VARIABLES[bare]
        return Step(op, arg, protocol)
    for prefix, op in PREFIXES.items():
        if bare.startswith(prefix) and len(bare) > len(prefix):
            return Step(op, 0, protocol, bare.removeprefix(prefix).encode("latin-1", "replace"))
    return None


def find_function(name: str, path: str, python_path: Iterable[str]) -> Function | None:
    """The function of that name in the catalogue, None = the catalogue does not know it."""
    if ":" not in name and name not in CATALOGUE.names(KIND):
        return None
    try:
        function = CATALOGUE.resolve(KIND, name, python_path)
    except ConfigError as e:
        raise ConfigError(path, e.problem) from e
    if not callable(function):
        raise ConfigError(path, f"%{name}% names {function!r}, which cannot be called with a record")
    return function


def variable_step(name: str, path: str, python_path: Iterable[str]) -> Step:
    """The step of the variable *name*; a name that nobody knows is a ConfigError at *path* with the nearest name."""
    step = find_step(name)
    if step is not None:
        return step
    if name in LATER:
        raise ConfigError(path, f"variable %{name}% is not in this version")
    if name in PREFIXES:
        raise ConfigError(path, f"%{name}% names nothing; write %{name}<key>%")
    function = find_function(name, path, python_path)
    if function is not None:
        return Step(OP_PYTHON, function=function)
    near = get_close_matches(name, [n.removesuffix("<key>") for n in variable_names()], 1)
    hint = f"did you mean '%{near[0]}%'?" if near else "a variable of your own is written %package.module:function%"
    raise ConfigError(path, f"unknown variable %{name}%; {hint}")


def parse_format(text: str, path: str, python_path: Iterable[str] = ()) -> list[Step]:
    """The steps of the format *text* ("" = MOSN's default); `\\%` is a percent sign. *path* names it in errors.

    *python_path*: directories where functions are looked for after all others.
    """
    steps: list[Step] = []
    literal = ""
    rest = text or DEFAULT_FORMAT
    while rest:
        before, percent, rest = rest.partition("%")
        literal += before
        if not percent:
            break
        if before.endswith("\\"):
            literal = literal[: len(literal) - 1] + "%"
            continue
        name, percent, rest = rest.partition("%")
        if not percent:
            raise ConfigError(path, f"'%{name}' has no closing '%'; a percent sign itself is written '\\%'")
        if literal:
            steps.append(Step(OP_LITERAL, text=literal.encode()))
            literal = ""
        steps.append(variable_step(name, path, python_path))
    if literal:
        steps.append(Step(OP_LITERAL, text=literal.encode()))
    return steps

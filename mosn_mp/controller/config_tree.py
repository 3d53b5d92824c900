"""A configuration as the JSON values of its file, durations as Go writes them, nulls left out; and the same for people."""

from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from mosn_mp.config.checks.stream_filters import shown_config
from mosn_mp.config.decoding.units import format_duration
from mosn_mp.config.model import Config


def config_tree(value: Any, leave_out_defaults: bool = False) -> Any:
    """*value* (a struct of config.model, or anything in one) under MOSN's keys, such that loading it again gives the same."""
    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, name), default) for name, default in _defaults(type(value)).items())
        return {
            name: format_duration(inner) if name in _durations(type(value)) else config_tree(inner, leave_out_defaults)
            for name, inner, default in fields
            if inner is not None and not (leave_out_defaults and inner == default)
        }
    if isinstance(value, dict):
        return {key: config_tree(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [config_tree(inner, leave_out_defaults) for inner in value]
    return value


def open_struct(value: msgspec.Struct) -> dict[str, Any]:
    """As config_tree(), of *value* alone: what is a struct, or a list of structs, stands in it as it is."""
    fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
    return {
        name: format_duration(inner) if name in _durations(type(value)) else _opened(inner)
        for name, inner in fields
        if inner is not None
    }


def _opened(value: Any) -> Any:
    if isinstance(value, tuple) and any(isinstance(entry, msgspec.Struct) for entry in value):
        return list(value)
    return value if isinstance(value, msgspec.Struct) else config_tree(value)


def shown_tree(config: Config) -> dict[str, Any]:
    """The tree of *config* for people: without what stream filters call a secret."""
    tree: dict[str, Any] = config_tree(config)
    for listener, shown in zip(config.server.listeners, tree["servers"][0]["listeners"], strict=True):
        for entry, shown_entry in zip(listener.stream_filters, shown["stream_filters"], strict=True):
            shown_entry["config"] = shown_config(entry)
    return tree


@cache
def _defaults(cls: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of *cls* and what each is by default; NODEFAULT equals nothing."""
    fields = msgspec.structs.fields(cls)
    return {f.name: f.default_factory() if f.default_factory is not msgspec.NODEFAULT else f.default for f in fields}


@cache
def _durations(cls: type[msgspec.Struct]) -> frozenset[str]:
    """The fields of *cls* that are waits."""
    return frozenset(name for name, hint in get_type_hints(cls, include_extras=True).items() if _is_duration(hint))


def _is_duration(hint: Any) -> bool:
    if get_origin(hint) is not Annotated:
        return False
    return any(isinstance(note, msgspec.Meta) and (note.extra or {}).get("unit") == "duration" for note in get_args(hint)[1:])

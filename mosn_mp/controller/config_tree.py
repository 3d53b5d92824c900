"""A configuration as the JSON values of its file, for /api/v1/config_dump: durations as Go writes them, nulls left out."""

from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from mosn_mp.config.units import format_duration


def config_tree(value: Any) -> Any:
    """*value* (a struct of config.model, or anything in one) under MOSN's keys, such that loading it again gives the same."""
    if isinstance(value, msgspec.Struct):
        hints = get_type_hints(type(value), include_extras=True)
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {
            name: format_duration(inner) if _is_duration(hints[name]) else config_tree(inner)
            for name, inner in fields
            if inner is not None
        }
    if isinstance(value, dict):
        return {key: config_tree(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [config_tree(inner) for inner in value]
    return value


def _is_duration(hint: Any) -> bool:
    if get_origin(hint) is not Annotated:
        return False
    return any(isinstance(note, msgspec.Meta) and (note.extra or {}).get("unit") == "duration" for note in get_args(hint)[1:])

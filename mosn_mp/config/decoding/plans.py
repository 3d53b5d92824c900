"""Types taken apart: what the decoder needs to know of a struct's fields and of what their annotations say."""

import typing
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import NODEFAULT, Meta, Struct


class Secret:
    """Marks a text of a plug-in's Config, or texts in a list or object: `password: Annotated[str, Secret()]`.

    Such a text is shown by nobody: not by the admin API, not in a problem, not in the log with the Config that it is in.
    """


class Field(NamedTuple):
    """One field of a struct, as the decoder needs it."""

    name: str  # in Python
    key: str  # in the file
    type: Any
    required: bool
    default: Callable[[], object]


class Plan(NamedTuple):
    """A type taken apart: what is under its Annotated, and what the annotations say."""

    base: Any
    origin: Any
    arguments: tuple[Any, ...]
    limits: tuple[Meta, ...]
    extra: dict[str, Any]


def struct_of(plan: Plan) -> type[Struct] | None:
    """The struct that *plan* is the type of, None if it is something else."""
    return plan.base if isinstance(plan.base, type) and issubclass(plan.base, Struct) else None


@cache
def plan_of(wanted: Any) -> Plan:
    """The type *wanted*, taken apart."""
    limits: list[Meta] = []
    extra: dict[str, Any] = {}
    while typing.get_origin(wanted) is typing.Annotated:
        for meta in wanted.__metadata__:
            if isinstance(meta, Meta):
                limits.append(meta)
                extra.update(meta.extra or {})
            elif isinstance(meta, Secret) or meta is Secret:
                extra["secret"] = True
        wanted = wanted.__origin__
    return Plan(wanted, typing.get_origin(wanted), typing.get_args(wanted), tuple(limits), extra)


@cache
def fields_of(cls: type[Struct]) -> tuple[Field, ...]:
    """The fields of *cls*."""
    return tuple(
        Field(field.name, field.encode_name, field.type, field.required, _default_of(field))
        for field in msgspec.structs.fields(cls)
    )


@cache
def scalar_types(wanted: Any) -> dict[str, type]:
    """The JSON types of the keys of the struct *wanted*, if msgspec.convert() makes of them what the decoder would; else nothing.

    That is so if all are texts, numbers or booleans with no more to say of them than their limits.
    """
    plan = plan_of(wanted)
    cls = struct_of(plan)
    if cls is None or plan.extra or cls.__struct_config__.array_like or hasattr(cls, "__post_init__"):
        return {}
    plans = {field.key: plan_of(field.type) for field in fields_of(cls)}
    if any(plan.base not in (str, int, float, bool) or plan.extra for plan in plans.values()):
        return {}
    return {key: plan.base for key, plan in plans.items()}


def _default_of(field: msgspec.structs.FieldInfo) -> Callable[[], object]:
    if field.default_factory is not NODEFAULT:
        return typing.cast(Callable[[], object], field.default_factory)
    return lambda: field.default


def is_homogeneous(plan: Plan) -> bool:
    """Whether the list or tuple of *plan* has entries of one type only."""
    return len(plan.arguments) == (1 if plan.origin is list else 2) and (plan.origin is list or plan.arguments[1] is Ellipsis)


def members_of(plan: Plan) -> list[Any]:
    """The types that the union of *plan* is made of, without None."""
    return [member for member in plan.arguments if member is not type(None)]


def takes_none(wanted: Any) -> bool:
    """Whether null is a value of the type *wanted*."""
    return type(None) in plan_of(wanted).arguments


def fits(wanted: Any, value: object) -> bool:
    """True if *value* has the JSON type that *wanted* is written in."""
    plan = plan_of(wanted)
    if plan.origin is typing.Literal:
        return any(type(choice) is type(value) for choice in plan.arguments)
    if isinstance(plan.base, type) and issubclass(plan.base, Struct):
        return isinstance(value, dict)
    base = {tuple: list}.get(plan.origin or plan.base, plan.origin or plan.base)
    if base is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is base

"""Secrets in the configuration of plug-ins: which values of a type are marked as one, and showing everything but these."""

import types
import typing
from functools import cache
from typing import Any

from msgspec import Struct

from mosn_mp.config.decoding.plans import fields_of, is_homogeneous, members_of, plan_of, struct_of

REDACTED = "***REDACTED***"


class SecretText(str):
    """A text that does not show itself where the object that it is in is shown, as in a log or an assertion."""

    __slots__ = ()

    def __repr__(self) -> str:
        return REDACTED


@cache
def holds_secrets(wanted: Any) -> bool:
    """Whether something in a value of the type *wanted* is marked as secret."""
    return _holds_secrets(wanted, frozenset())


def _holds_secrets(wanted: Any, around: frozenset[type]) -> bool:
    plan = plan_of(wanted)
    if plan.extra.get("secret"):
        return True
    cls = struct_of(plan)
    if cls is not None:
        return cls not in around and any(_holds_secrets(field.type, around | {cls}) for field in fields_of(cls))
    return plan.origin is not typing.Literal and any(_holds_secrets(argument, around) for argument in plan.arguments)


def is_secret(wanted: Any) -> bool:
    """Whether a value of the type *wanted* is secret as a whole: marked so, or one of several types of which one is."""
    plan = plan_of(wanted)
    if plan.origin in (typing.Union, types.UnionType) and len(members_of(plan)) > 1:
        return holds_secrets(wanted)
    return "secret" in plan.extra


def redacted(wanted: Any, value: object) -> object:
    """A copy of *value*, read as the type *wanted*, without what is secret; nor is shown what is not of that type."""
    if value is None or not holds_secrets(wanted):
        return value
    plan = plan_of(wanted)
    if is_secret(wanted):
        return REDACTED
    cls = struct_of(plan)
    if plan.origin in (typing.Union, types.UnionType):
        return redacted(members_of(plan)[0], value)
    if cls is not None and isinstance(value, dict):
        known = {field.key: field.type for field in fields_of(cls)}
        return {key: redacted(known[key], inner) if key in known else REDACTED for key, inner in value.items()}
    if plan.origin in (tuple, list) and is_homogeneous(plan) and isinstance(value, list):
        return [redacted(plan.arguments[0], item) for item in value]
    if plan.origin is dict and isinstance(value, dict) and not holds_secrets(plan.arguments[0]):
        return {key: redacted(plan.arguments[1], item) for key, item in value.items()}
    return REDACTED


def hide(value: Any) -> Any:
    """*value* with SecretText for every text in it."""
    if isinstance(value, str):
        return SecretText(value)
    if isinstance(value, list | tuple):
        return type(value)(map(hide, value))
    return {key: hide(item) for key, item in value.items()} if isinstance(value, dict) else value


def without_secrets(text: str, value: object) -> str:
    """*text*, which somebody wrote who knows *value* (a Config, or what one is made of), without the secrets in it."""
    if isinstance(value, SecretText):
        return text.replace(value, REDACTED) if value else text
    if isinstance(value, Struct):
        inner: list[object] = [getattr(value, name) for name in value.__struct_fields__]
    else:
        inner = list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list | tuple) else []
    for one in inner:
        text = without_secrets(text, one)
    return text

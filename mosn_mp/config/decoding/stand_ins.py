"""What stands in for a value that is wrong, so that the decoder and the checks after it can go on; nobody serves it."""

import types
import typing
from typing import Any

from msgspec import Struct

from mosn_mp.config.decoding.plans import fields_of, plan_of


def empty(wanted: Any) -> Any:
    """A value of the type *wanted* that says nothing, to go on with after an error."""
    plan = plan_of(wanted)
    if isinstance(plan.base, type) and issubclass(plan.base, Struct):
        made = {f.name: empty(f.type) if f.required else f.default() for f in fields_of(plan.base)}
        return construct_unchecked(plan.base, made)
    if plan.origin in (typing.Union, types.UnionType):
        return None if type(None) in plan.arguments else empty(plan.arguments[0])
    if plan.origin is typing.Literal:
        return plan.arguments[0]
    kind = plan.origin or plan.base
    return kind() if kind in (str, int, float, bool, dict, list, tuple) else None


def construct_unchecked(cls: type[Struct], made: dict[str, object]) -> Struct:
    """A *cls* without running its __post_init__, whose checks do not hold for values that stand in for wrong ones."""
    return _Unchecked(cls, made) if hasattr(cls, "__post_init__") else cls(**made)


class _Unchecked(Struct):
    """Stands in for a plug-in's Config that cannot be made; nobody reads it."""

    cls: type[Struct]
    made: dict[str, object]

"""Strict decoding of plain values into the model, collecting every error instead of stopping at the first.

msgspec knows the same rules but raises at the first breach; a person mending a file wants them all. So this walks the types of
the structs itself and leaves to msgspec.convert only types that it has no words for (they occur in plug-ins' Config). A value
that is wrong is replaced by an empty one, so that the checks after this can go on; the result is used only if nothing was wrong.
"""

import types
import typing
from typing import Any

import msgspec
from msgspec import Meta, Struct

from mosn_mp.config.decoding.plans import Plan, fields_of, fits, is_homogeneous, members_of, plan_of, scalar_types, takes_none
from mosn_mp.config.decoding.secrets import REDACTED, hide, holds_secrets, is_secret, without_secrets
from mosn_mp.config.decoding.stand_ins import construct_unchecked, empty
from mosn_mp.config.decoding.units import parse_duration, parse_size
from mosn_mp.config.decoding.unserved import UNSERVED_KEYS, asks_for_nothing, not_in_this_version
from mosn_mp.config.problems import Findings, Path, nearest, parse_path, show
from mosn_mp.errors import ConfigError
from mosn_mp.plugin.blame import where_raised

_EXPECTED = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}
_JSON_NAMES = {str: "a text", int: "a number", float: "a number", bool: "a boolean", dict: "an object", list: "a list"}


class Decoder:
    """Decodes values by type; what is wrong with them goes to *findings*."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._hides = False  # there are secrets in the value at hand, so nothing of it is shown
        self._is_within_secret = False

    def decode(self, wanted: Any, value: object, path: Path) -> Any:
        """*value* as the type *wanted*; where it does not fit, an error at its path and an empty value in its place.

        A struct in *value* was decoded before, and is taken as it is.
        """
        before = self._hides, self._is_within_secret
        self._hides = self._is_within_secret or holds_secrets(wanted)
        self._is_within_secret = self._is_within_secret or is_secret(wanted)
        try:
            made = self._decode(plan_of(wanted), wanted, value, path)
        finally:
            self._hides, self._is_within_secret = before
        return hide(made) if "secret" in plan_of(wanted).extra else made

    def _decode(self, plan: Plan, wanted: Any, value: object, path: Path) -> Any:
        extra = plan.extra
        if "unit" in extra:
            return self._limited(plan, self._decode_unit(plan, value, path), value, path)
        if extra.get("one_or_many") and isinstance(value, str):
            value = [value]
        if plan.origin in (typing.Union, types.UnionType):
            return self._decode_union(plan, value, path)
        if isinstance(plan.base, type) and issubclass(plan.base, Struct) and not plan.base.__struct_config__.array_like:
            return value if type(value) is plan.base else self._decode_struct(plan.base, value, path)
        if plan.origin in (tuple, list) and is_homogeneous(plan):
            return self._limited(plan, self._decode_list(plan, value, path), value, path)
        if plan.origin is dict and plan.arguments[0] is str:
            return self._decode_dict(plan, value, path)
        if plan.origin is typing.Literal:
            return self._choose(plan, value, path, plan.arguments)
        if plan.base in _EXPECTED:
            return self._decode_scalar(plan, value, path)
        return self._convert(wanted, value, path)

    def decode_struct(self, cls: type[Struct], value: object, path: Path) -> Any:
        """*value* as the struct *cls*: unknown keys, unserved features, missing keys and wrong values are errors, all of them."""
        return self.decode(cls, value, path)

    def _error(self, path: Path, problem: str, *, value: object = None, suggestion: str = "", at_key: bool = False) -> None:
        shown = REDACTED if self._hides and value is not None else value
        self._findings.error(path, problem, value=shown, suggestion=suggestion, at_key=at_key)

    def _show(self, value: object) -> str:
        return REDACTED if self._hides else show(value)

    def _describe_value(self, value: object) -> str:
        if not self._hides and (isinstance(value, bool | int | float | str) or value is None):
            return show(value)
        return _JSON_NAMES.get(type(value), "something else")

    def _decode_struct(self, cls: type[Struct], value: object, path: Path) -> Any:
        if not isinstance(value, dict):
            return self._mismatch("an object", value, path, cls)
        before = len(self._findings.errors)
        made = self._decode_deciding(cls, value, path)
        if len(self._findings.errors) > before:
            return construct_unchecked(cls, made | {f.name: empty(f.type) for f in fields_of(cls) if f.name not in made})
        self._refuse_other_keys(cls, value, path)
        is_complete = len(self._findings.errors) == before  # where a key is refused, another may be missing because of it
        for field in fields_of(cls):
            given = value.get(field.key)
            if field.name in made:
                continue
            if given is not None or (field.key in value and takes_none(field.type)):
                made[field.name] = self.decode(field.type, given, (*path, field.key))
            elif not field.required:
                made[field.name] = field.default()
            else:
                if is_complete:
                    self._error(path, f"'{field.key}' is missing")
                made[field.name] = empty(field.type)
        if len(self._findings.errors) > before:
            return construct_unchecked(cls, made)
        try:
            return cls(**made)
        except ConfigError as e:  # a plug-in's Config may check itself, with paths that start at itself
            self._error((*path, *parse_path(e.path)), without_secrets(e.problem, made))
        except (TypeError, ValueError) as e:
            self._error(path, without_secrets(f"{e}{where_raised(e)}", made))
        return construct_unchecked(cls, made)

    def _decode_deciding(self, cls: type[Struct], value: dict[str, object], path: Path) -> dict[str, object]:
        """The fields that decide what the others may be; where one is wrong, an error about the others would only mislead."""
        deciding = [
            field for field in fields_of(cls) if plan_of(field.type).extra.get("decides") and value.get(field.key) is not None
        ]
        return {field.name: self.decode(field.type, value[field.key], (*path, field.key)) for field in deciding}

    def _refuse_other_keys(self, cls: type[Struct], value: dict[str, object], path: Path) -> None:
        served = {field.key for field in fields_of(cls)}
        unserved = UNSERVED_KEYS.get(cls, {})
        for key, given in value.items():
            if key in served:
                continue
            if key in unserved:
                if not asks_for_nothing(given, unserved[key]):
                    self._error((*path, key), not_in_this_version(unserved[key].feature), value=given, at_key=True)
                continue
            near = nearest(key, (*served, *unserved)) or _one_level_down(cls, key)
            problem = "unknown key" if near or not served else f"unknown key; there are {', '.join(sorted(served))}"
            self._error((*path, key), problem, value=given, suggestion=near, at_key=True)

    def _decode_unit(self, plan: Plan, value: object, path: Path) -> object:
        is_duration = plan.extra["unit"] == "duration"
        if isinstance(value, int) and not isinstance(value, bool) and (value == 0 or not is_duration):
            return float(value) if is_duration else value
        if is_duration and isinstance(value, int | float) and not isinstance(value, bool):
            problem = f"{self._show(value)} is not a duration; write its unit, as in '{self._show(value)}s'"
            self._error(path, problem, value=value)
            return None
        if not isinstance(value, str):
            return self._mismatch("a duration such as '30s'" if is_duration else "a size such as '64KB'", value, path, None)
        try:
            return parse_duration(value) if is_duration else parse_size(value)
        except ValueError as e:
            self._error(path, f"{self._show(value)} is {e}", value=value)
            return None

    def _decode_union(self, plan: Plan, value: object, path: Path) -> object:
        members = members_of(plan)
        if value is None and len(members) < len(plan.arguments):
            return None
        fitting = [member for member in members if fits(member, value)]
        if len(members) == 1 or len(fitting) == 1:
            return self.decode((fitting or members)[0], value, path)
        if not fitting:
            return self._mismatch(" or ".join(_describe(member) for member in members), value, path, plan.base)
        return self._convert(plan.base, value, path)

    def _decode_list(self, plan: Plan, value: object, path: Path) -> object:
        if not isinstance(value, list):
            return self._mismatch("a list", value, path, None)
        wanted = plan.arguments[0]
        scalars = scalar_types(wanted)
        items = [
            item
            if type(item) is wanted
            else (_convert_scalars(wanted, scalars, item) if scalars else None) or self.decode(wanted, item, (*path, index))
            for index, item in enumerate(value)
        ]
        return tuple(items) if plan.origin is tuple else items

    def _decode_dict(self, plan: Plan, value: object, path: Path) -> object:
        if not isinstance(value, dict):
            return self._mismatch("an object", value, path, plan.base)
        if plan.arguments[1] is Any:
            return value
        return {key: self.decode(plan.arguments[1], item, (*path, key)) for key, item in value.items()}

    def _decode_scalar(self, plan: Plan, value: object, path: Path) -> object:
        wanted = plan.base
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            return self._mismatch(_EXPECTED[wanted], value, path, wanted)
        if "only" in plan.extra:
            return self._only(plan, value, path)
        if "choices" in plan.extra:
            return self._choose(plan, value, path, plan.extra["choices"])
        return self._limited(plan, value, value, path)

    def _only(self, plan: Plan, value: object, path: Path) -> object:
        only, feature = plan.extra["only"]
        if value != only:
            problem = f"{not_in_this_version(feature)}; set it to {show(only)} or leave it out"
            self._error(path, problem, value=value)
        return only

    def _choose(self, plan: Plan, value: object, path: Path, choices: tuple[Any, ...]) -> object:
        if value in choices and type(value) in {type(choice) for choice in choices}:
            return value
        what = plan.extra.get("what", "value")
        if value in plan.extra.get("later", ()):
            self._error(path, not_in_this_version(f"{what} {self._show(value)}"), value=value)
            return empty(plan.base)
        near = nearest(value, (c for c in choices if isinstance(c, str))) if isinstance(value, str) else ""
        problem = f"unknown {what} {self._show(value)}"
        if not near:
            problem += f"; expected {' or '.join(show(choice) for choice in choices if choice != '')}"
        self._error(path, problem, value=value, suggestion=near)
        return empty(plan.base)

    def _limited(self, plan: Plan, made: Any, value: object, path: Path) -> Any:
        """*made*, if it is within the limits of its Meta; None stands for a value that was wrong already."""
        if made is None:
            return empty(plan.base)
        for meta in plan.limits:
            problem = _breach(meta, made)
            if problem:
                self._error(path, problem.format(self._show(value)), value=value)
                return made
        if any(meta.pattern is not None or meta.multiple_of is not None for meta in plan.limits):
            return self._convert(typing.Annotated[plan.base, *plan.limits], made, path)
        return made

    def _convert(self, wanted: Any, value: object, path: Path) -> Any:
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError as e:
            problem, _, inner = str(e).partition(" - at `$")
            problem = "this is not what it has to be" if self._hides else f"{problem[:1].lower()}{problem[1:]}"
            self._error((*path, *parse_path(inner)), problem, value=value)
            return empty(wanted)

    def _mismatch(self, expected: str, value: object, path: Path, wanted: Any) -> Any:
        self._error(path, f"expected {expected}, got {self._describe_value(value)}", value=value)
        return None if wanted is None else empty(wanted)


def _convert_scalars(cls: Any, scalars: dict[str, type], value: object) -> Any:
    """*value* as the struct *cls* of *scalars*, at a tenth of Decoder's time; None if that has a fault to find."""
    if type(value) is not dict:
        return None
    for key, given in value.items():
        if type(given) is not scalars.get(key):
            return None
    try:
        return msgspec.convert(value, cls)
    except msgspec.ValidationError:
        return None


def _breach(meta: Meta, made: Any) -> str:
    """What is wrong with *made* by the limits of *meta*, with {} where the value goes; "" = nothing."""
    if meta.ge is not None and made < meta.ge:
        return f"{{}} is too small; the least is {meta.ge}" if meta.ge else "{} is negative"
    if meta.gt is not None and made <= meta.gt:
        return f"{{}} is too small; it must be more than {meta.gt}"
    if meta.le is not None and made > meta.le:
        return f"{{}} is too large; the most is {meta.le}"
    if meta.lt is not None and made >= meta.lt:
        return f"{{}} is too large; it must be less than {meta.lt}"
    if meta.min_length is not None and len(made) < meta.min_length:
        return "must not be empty" if len(made) == 0 else f"too short; the least is {meta.min_length}"
    if meta.max_length is not None and len(made) > meta.max_length:
        return f"has {len(made)} {'characters' if isinstance(made, str) else 'entries'}; at most {meta.max_length} can be served"
    return ""


def _one_level_down(cls: type[Struct], key: str) -> str:
    """`inner.key`, if the value of the field `inner` of *cls* is where *key* belongs, or ""."""
    for field in fields_of(cls):
        inner = plan_of(field.type).base
        if isinstance(inner, type) and issubclass(inner, Struct) and key in {f.key for f in fields_of(inner)}:
            return f"{field.key}.{key}"
    return ""


def _describe(wanted: Any) -> str:
    """*wanted* in words, for an error text."""
    plan = plan_of(wanted)
    if plan.origin is typing.Literal:
        return " or ".join(show(choice) for choice in plan.arguments)
    if plan.origin in (tuple, list):
        return "a list"
    return _EXPECTED.get(plan.origin or plan.base, "an object")

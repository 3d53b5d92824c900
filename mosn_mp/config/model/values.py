"""What every configuration struct is made of: Frozen, and the types and defaults that several of them share."""

from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=0, extra={"unit": "duration"})]
Deadline = Annotated[float, Meta(gt=0, extra={"unit": "duration"})]  # Seconds of a wait that must end
SignedSeconds = Annotated[float, Meta(extra={"unit": "duration"})]
Bytes = Annotated[int, Meta(ge=0, extra={"unit": "size"})]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
PythonPath = Annotated[tuple[Name, ...], Meta(extra={"one_or_many": True})]  # directories, absolute after load()

DEFAULT_ROUTE_TIMEOUT_S = 60.0  # MOSN's types.GlobalTimeout
DEFAULT_REQUESTS_PER_CONNECTION = 1024  # MOSN's cluster default
HTTP1 = "Http1"
AUTO = "Auto"  # downstream_protocol: whatever the client speaks


class Frozen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all configuration structs: immutable, compared by value, built by keyword."""

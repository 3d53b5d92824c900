"""What a configuration file may ask of its reader: a file of a few hundred bytes must not cost seconds or memory without end.

Each limit is far above what a configuration needs, and breaking one is one problem, with its place.
"""

import math

MAX_BYTES = 64 << 20  # a hundred thousand routes are 20 MB
MAX_DEPTH = 64  # MOSN's own keys are 14 levels deep; below 1,000, where Python's recursion ends, for every walk over the values
MAX_REPEATED = 50_000  # values that YAML's aliases say once more: 344 bytes of them can mean billions
LONGEST_NUMBER = 64  # characters; reading n digits takes n * n steps

TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
TOO_LARGE = "this number is too large"
NOT_JSON = "this is not a number in JSON"
LEAST, MOST = -(1 << 63), (1 << 64) - 1  # what snapshots and the code behind them can carry


def problem_of_number(text: str) -> str:
    """What is wrong with the number *text*, as JSON writes one; "" = nothing."""
    if text in ("NaN", "Infinity", "-Infinity"):  # Python's json takes them, RFC 8259 does not
        return NOT_JSON
    if len(text) > LONGEST_NUMBER:
        return TOO_LARGE
    return problem_of_value(int(text) if text.lstrip("-").isdigit() else float(text))


def problem_of_value(value: object) -> str:
    """What is wrong with *value*, if it is a number; "" = nothing."""
    if isinstance(value, float):
        return "" if math.isfinite(value) else TOO_LARGE
    return TOO_LARGE if isinstance(value, int) and not LEAST <= value <= MOST else ""

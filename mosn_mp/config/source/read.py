"""A configuration file as plain values: JSON, or YAML by the extension `.yaml` or `.yml`."""

from codecs import BOM_UTF8
from pathlib import Path as File

from mosn_mp.config.problems import Place
from mosn_mp.config.source.json_source import JsonSource
from mosn_mp.config.source.limits import MAX_BYTES
from mosn_mp.config.source.source import Source, first_lower, syntax_error
from mosn_mp.config.source.yaml_source import YamlSource


def read_source(file: str) -> Source:
    """The values of *file*; ConfigErrors if it cannot be read, is not valid JSON or YAML, or has a key twice."""
    try:
        with open(file, "rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as e:
        raise syntax_error(file, Place(0, 0), f"cannot be read: {first_lower(e.strerror or str(e))}") from e
    return parse_source(file, raw)


def parse_source(file: str, raw: bytes) -> Source:
    """The values of *raw*, the first MAX_BYTES + 1 bytes of *file*; ConfigErrors as read_source()."""
    if len(raw) > MAX_BYTES:
        raise syntax_error(file, Place(0, 0), f"larger than {MAX_BYTES >> 20} MB")
    raw = raw.removeprefix(BOM_UTF8)  # editors on Windows leave it
    try:
        text = raw.decode()
    except UnicodeDecodeError as e:
        before = raw[: e.start].decode("utf-8", "replace")
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise syntax_error(file, place, "not UTF-8 text") from e
    return YamlSource(file, text) if is_yaml(file) else JsonSource(file, text)


def read_json(name: str, text: str) -> Source:
    """The values of the JSON *text*, which errors call *name*; ConfigErrors as read_source()."""
    return JsonSource(name, text)


def is_yaml(file: str) -> bool:
    """Whether *file* is read as YAML."""
    return File(file).suffix.lower() in (".yaml", ".yml")

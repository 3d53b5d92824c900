"""Where the files of a running master are, from its configuration file alone."""

import os.path

from mosn_mp.config.decoding.defaults import base_directory
from mosn_mp.config.source.read import read_source


def pid_path_of(config_path: str) -> str:
    """The pid file that *config_path* names; ConfigErrors if the file cannot be read.

    Looks at nothing else in the file: a program that runs must be reachable though its file is being edited.
    """
    value = read_source(config_path).value
    named = value.get("pid") if isinstance(value, dict) else None
    return os.path.join(base_directory(config_path), named if isinstance(named, str) and named else "logs/mosn.pid")

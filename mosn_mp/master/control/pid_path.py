"""Where the files of a running master are, from its configuration file alone."""

import os.path
from typing import NamedTuple

from mosn_mp.config.decoding.defaults import base_directory
from mosn_mp.config.source.read import read_source


class Whereabouts(NamedTuple):
    """What a configuration file says of the program that runs with it."""

    pid_path: str
    has_user: bool  # it says as whom controller and workers run, so it is root who starts it


def whereabouts_of(config_path: str) -> Whereabouts:
    """The pid file that *config_path* names; ConfigErrors if the file cannot be read.

    Looks at nothing else in the file: a program that runs must be reachable though its file is being edited.
    """
    value = read_source(config_path).value
    named = value.get("pid") if isinstance(value, dict) else None
    servers = value.get("servers") if isinstance(value, dict) else None
    has_user = isinstance(servers, list) and any(isinstance(server, dict) and server.get("user") for server in servers)
    pid_path = os.path.join(base_directory(config_path), named if isinstance(named, str) and named else "logs/mosn.pid")
    return Whereabouts(pid_path, has_user)

"""What the master tells a controller on its command line."""

from typing import NamedTuple

from mosn_mp.config.identity import Identity


class Arguments(NamedTuple):
    """The command line: the channel's descriptor, the config file, the level of `start -l` ("" = the config's), a restart."""

    channel_fd: int
    config_path: str
    log_level: str
    is_adopting: bool
    identity: Identity | None = None  # whom it becomes

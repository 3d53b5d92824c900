"""The start of the controller: load the config and send it before anything else, because the whole program waits for that.

Arguments: the channel's descriptor, the config file, `--log-level=LEVEL`, `--adopt` (a restart: the master sends what is served),
`--become=USER:UID:GID:GROUP,...` (whom to become before anything is read: the master found that out).
"""

import os
import signal
from pathlib import Path

import mosn_mp
from mosn_mp.config.identity import USER, Identity, find_identity
from mosn_mp.config.load import load
from mosn_mp.config.model import Config
from mosn_mp.config.problems import ConfigErrors
from mosn_mp.config.snapshot import encode
from mosn_mp.controller.arguments import Arguments
from mosn_mp.controller.plan import make_plan
from mosn_mp.controller.stamp import Origin, stamp_of
from mosn_mp.errors import ConfigError
from mosn_mp.ipc.channel import Channel, ChannelClosedError
from mosn_mp.ipc.confinement import forbid_core_dumps, leave_terminal
from mosn_mp.ipc.frames import Loaded, Rejected
from mosn_mp.ipc.landlock import confine
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.plan import encode_plan
from mosn_mp.ipc.privilege import become, forbid_new_privileges
from mosn_mp.ipc.seccomp import forbid_system_calls
from mosn_mp.plugin import CATALOGUE

START_TIMEOUT_S = 60.0


def main(argv: list[str]) -> int:
    """Be the controller until the master says otherwise; the exit status."""
    arguments = parse(argv)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)  # the master decides what they mean
    leave_terminal()
    forbid_core_dumps()
    forbid_new_privileges()
    if arguments.identity is not None:
        become(arguments.identity)
    confine(None)
    forbid_system_calls()  # where that cannot be, workers say so
    channel = Channel.adopt(arguments.channel_fd)
    origin = Origin(arguments.config_path, stamp_of(arguments.config_path))
    try:
        config = None if arguments.is_adopting else _load(channel, arguments, origin)
    except ChannelClosedError:
        return 0  # the master is gone already
    if config is None and not arguments.is_adopting:
        return 0  # refused, and said so
    # After the snapshot is on its way: gevent and the admin server take longer to import than a config to load.
    from mosn_mp.controller.process import ControllerProcess

    return ControllerProcess(channel, config, arguments, origin).wait_end()


def parse(argv: list[str]) -> Arguments:
    """The arguments that master.launch gives."""
    channel_fd, config_path, *options = argv
    given = {name: value for name, _, value in (option.partition("=") for option in options)}
    identity = None
    if "--become" in given:
        user, uid, gid, groups = given["--become"].rsplit(":", 3)
        identity = Identity(user, int(uid), int(gid), tuple(map(int, groups.split(","))))
    return Arguments(int(channel_fd), config_path, given.get("--log-level", ""), "--adopt" in given, identity)


def check_user(config: Config, identity: Identity | None) -> None:
    """ConfigError if *config* names somebody else than *identity*, whom this process became (None: it stayed who it is)."""
    named = find_identity(config.server) if config.servers else None
    if named is None or named == identity:
        return
    if identity is not None or os.geteuid() == 0:
        runs_as = f"the program runs as '{identity.user if identity is not None else 'root'}'"
        raise ConfigError(USER, f"{runs_as}, not as '{named.user}': stop and start it")
    try:
        become(named)
    except PermissionError as e:
        problem = f"user {os.geteuid()} cannot become '{named.user}': start the program as root, or name no user"
        raise ConfigError(USER, problem) from e


def unreadable(identity: Identity, config_path: str) -> str:
    """What is wrong if this process, which is *identity*, could not work: "" = nothing."""
    for needed in (config_path, str(Path(mosn_mp.__file__).parent), os.__file__):
        if not os.access(needed, os.R_OK):
            return f"{USER}: '{identity.user}' cannot read {needed}, which a reload or a new process needs"
    return ""


def _reject(channel: Channel, problems: str) -> None:
    problems_fd = seal_bytes("mosn_mp-problems", problems.encode())
    channel.send(Rejected(), (problems_fd,))
    os.close(problems_fd)


def _load(channel: Channel, arguments: Arguments, origin: Origin) -> Config | None:
    """Load the file and send it to the master, or say what is wrong with it and return None."""
    problem = unreadable(arguments.identity, arguments.config_path) if arguments.identity is not None else ""
    if problem:
        _reject(channel, problem)
        return None
    try:
        config = load(arguments.config_path, enter=lambda config: check_user(config, arguments.identity))
    except ConfigErrors as e:
        _reject(channel, "\n".join(map(str, e.errors)))
        return None
    snapshot_fd = seal_bytes("mosn_mp-snapshot", encode(config, CATALOGUE.sources()))
    plan = make_plan(config, origin.path, arguments.log_level, origin.stamp)
    plan_fd = seal_bytes("mosn_mp-plan", encode_plan(plan))
    channel.send(Loaded(), (snapshot_fd, plan_fd))
    os.close(snapshot_fd)
    os.close(plan_fd)
    return config

"""The controller after its start: listens to the master, serves admin HTTP, decides nothing that the data plane waits for."""

import errno
import logging
import os

import gevent
from gevent.event import Event

from mosn_mp.admin.api import AdminApi
from mosn_mp.admin.server import AdminLimits, AdminServer
from mosn_mp.buffer.arena import Arena
from mosn_mp.buffer.segment import Segment
from mosn_mp.config.decoding.address import Address
from mosn_mp.config.decoding.features import AUTO_CONFIG, ENVIRONMENT, parse_gates
from mosn_mp.config.model import Config
from mosn_mp.config.snapshot import decode
from mosn_mp.controller.admin_source import ControllerSource
from mosn_mp.controller.arguments import Arguments
from mosn_mp.controller.config_file import ConfigFile
from mosn_mp.controller.loading import Found, load_anew, load_edit, take_back
from mosn_mp.controller.plan import admin_address
from mosn_mp.controller.proposals import Proposals
from mosn_mp.controller.stamp import Origin
from mosn_mp.ipc.channel import Channel, ChannelClosedError, ChannelStuckError, Delivery, close_fds
from mosn_mp.ipc.conversation import converse
from mosn_mp.ipc.frames import (
    AdminUp,
    Adopt,
    Concluded,
    Failed,
    Frame,
    Load,
    OpenLog,
    Quit,
    ReopenLogs,
    Served,
    SetLogLevel,
    State,
    Unchanged,
)
from mosn_mp.ipc.memfd import read_sealed
from mosn_mp.ipc.plan import decode_plan
from mosn_mp.ipc.tables import decode_tables
from mosn_mp.observe.log_files import LogFiles
from mosn_mp.observe.metrics.directory import Directory
from mosn_mp.observe.metrics.metrics import Metrics
from mosn_mp.plugin import CATALOGUE

log = logging.getLogger("mosn_mp.controller")

# Only looks into the arena, as the master's slot does.
LOOKER_SLOT = 254
# The controller before us (killed with its master, or crashed) closes the admin port when it notices: at once, but not before.
ADMIN_TRIES = 40
ADMIN_RETRY_S = 0.05
MAX_EDIT_BYTES = 4 << 20  # 10,000 routes of MOSN's are 2 MB of JSON


class ControllerProcess:
    """The conversation with the master, until wait_end()."""

    def __init__(self, channel: Channel, config: Config | None, arguments: Arguments, origin: Origin) -> None:
        """*config* None: it comes with Adopt; else it was read from *origin*."""
        self._channel = channel
        self._config = config
        self._log_level = arguments.log_level
        self._gates = parse_gates(os.environ.get(ENVIRONMENT, ""))
        self._file = ConfigFile(arguments.config_path, self._gates[AUTO_CONFIG], self._send)
        self._origin: Origin | None = origin  # of _config; None = no file says it
        self._version = 0
        self._logs = LogFiles("controller")
        self._source: ControllerSource | None = None
        self._stage = 0
        self._found: Found | None = None  # sent to the master, which has not decided
        self._proposals = Proposals(self._send)
        self._admin: AdminServer | None = None
        self._admin_address: Address | None = None  # where it is, or is about to be
        self._ended = Event()

    def wait_end(self) -> int:
        """Work until the master says Quit or is gone; 0."""
        gevent.spawn(self._converse)
        self._ended.wait()
        return 0

    def _converse(self) -> None:
        try:
            converse(self._channel, self._take)
        except ChannelClosedError:
            self._ended.set()  # without a master there is nothing to decide

    def _take(self, delivery: Delivery) -> None:
        try:
            self._act(delivery)
        except Exception:
            log.exception("controller: %s failed", type(delivery.frame).__name__)
        finally:
            close_fds(delivery.fds)

    def _act(self, delivery: Delivery) -> None:
        match delivery.frame:
            case Adopt():
                self._adopt(delivery.frame, *map(read_sealed, delivery.fds))
            case Load():
                self._load(delivery.frame, delivery.fds)
            case Concluded(token=token):
                self._proposals.conclude(token, read_sealed(delivery.fds[0]))
            case Served(version=version):
                if self._found is not None:
                    self._config, self._origin, self._found = self._found.config, self._found.origin, None
                self._version = version
                self._show(delivery.fds)
                self._file_served()
            case Failed():
                if self._found is not None:
                    take_back(self._found.renewal)
                    self._found = None
            case State(stage=stage):
                self._stage = stage
                if self._source is not None:
                    self._source.stage = stage
            case OpenLog(path=path, level=level):
                self._logs.move(path, level)
            case SetLogLevel(path=path, level=level):
                self._logs.set_level(path, level)
            case ReopenLogs():
                self._logs.reopen()
            case Quit():
                self._ended.set()
            case _:
                log.error("a %s frame is not for a controller", type(delivery.frame).__name__)

    def _send(self, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        try:
            self._channel.send(frame, fds)
        except (ChannelClosedError, ChannelStuckError):
            return  # end-of-file tells the reader; a master that does not read finds out by itself

    def _adopt(self, adopt: Adopt, snapshot: bytes, packed_plan: bytes) -> None:
        plan = decode_plan(packed_plan)
        self._config = decode(snapshot)
        CATALOGUE.expect(plan.python)  # what lies there now may be other code than what is served
        self._file.path, self._file.known = plan.config_path, adopt.filed
        is_filed = adopt.filed.version in (0, adopt.version)  # 0: the controller before us had not come to say anything
        self._origin = Origin(plan.config_path, adopt.filed.stamp) if is_filed else None

    def _load(self, wish: Load, fds: list[int]) -> None:
        assert self._config is not None
        if wish.edit:
            found = load_edit(wish, read_sealed(fds[0]), self._config, self._log_level)
        else:
            found = load_anew(wish, self._config, self._log_level)
        if isinstance(found.frame, Unchanged) and found.origin is not None:
            self._file.says(found.origin, self._version)
        if found.config is not None:
            self._found = found
        self._send(found.frame, found.fds)
        close_fds(found.fds)

    def _file_served(self) -> None:
        """What is served now is what the file says, or shall say."""
        assert self._config is not None
        if self._origin is not None:
            self._file.was_read(self._origin, self._version)
        else:
            self._file.serve(self._config, self._version)

    def _show(self, fds: list[int]) -> None:
        """The master serves our snapshot: show it in the admin API, which starts with the first one."""
        assert self._config is not None
        tables_fd, arena_fd, metrics_fd, _state_fd = fds
        directory = Directory.unpack(decode_tables(read_sealed(tables_fd)).metrics)
        if self._source is not None:
            self._source.take(self._config, directory)
            self._move_admin()
            return
        server = self._config.server
        self._logs.open(server.default_log_path, self._log_level or server.default_log_level)
        metrics = Metrics(_attach(metrics_fd))
        self._source = ControllerSource(self._config, metrics, directory, Arena(_attach(arena_fd), LOOKER_SLOT), self._logs)
        self._source.gates = self._gates
        self._source.file = self._file
        self._source.stage = self._stage
        self._source.send = self._send
        self._source.propose = self._proposals.propose
        self._move_admin()

    def _move_admin(self) -> None:
        """Serve the admin API where the configuration says now."""
        assert self._config is not None and self._source is not None
        wanted = admin_address(self._config) if self._config.admin is not None else None
        if self._admin is not None:
            self._admin.limits = admin_limits(self._config)
        if wanted == self._admin_address:
            return
        self._admin_address = wanted
        if self._admin is not None:
            gevent.spawn(self._admin.stop)
            self._admin = None
            self._send(AdminUp(""))
        if wanted is not None:
            gevent.spawn(self._serve_admin, self._source, wanted)

    def _serve_admin(self, source: ControllerSource, address: Address) -> None:
        """Start the admin server; the program serves on without it, and says why."""
        for attempt in range(1, ADMIN_TRIES + 1):
            if address != self._admin_address:
                return  # another reload wants it elsewhere
            assert self._config is not None
            server = AdminServer(AdminApi(source), (address.ip, address.port), admin_limits(self._config))
            try:
                server.start()
            except OSError as e:
                if e.errno == errno.EADDRINUSE and attempt < ADMIN_TRIES:
                    gevent.sleep(ADMIN_RETRY_S)
                    continue
                self._send(AdminUp("", f"cannot listen on {address}: {e.strerror or e}"))
            else:
                self._admin = server
                self._send(AdminUp(str(address)))
            return


def admin_limits(config: Config) -> AdminLimits:
    """What a client of the admin API may take: a whole router with thousands of routes, if it may change any."""
    is_debug = config.admin is not None and config.admin.debug
    return AdminLimits(body_bytes=MAX_EDIT_BYTES) if is_debug else AdminLimits()


def _attach(fd: int) -> Segment:
    """The segment behind *fd*, on a descriptor of its own."""
    own = os.dup(fd)
    return Segment.attach(own, os.fstat(own).st_size)

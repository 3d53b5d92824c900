"""The controller after its start: listens to the master, serves admin HTTP, decides nothing that the data plane waits for."""

import contextlib
import logging
import os

import gevent
from gevent.event import Event

from mosn_mp.admin.api import AdminApi
from mosn_mp.buffer.holdings import Holdings
from mosn_mp.buffer.segment import Segment
from mosn_mp.config.decoding.features import AUTO_CONFIG, ENVIRONMENT, parse_gates
from mosn_mp.config.model import Config
from mosn_mp.config.snapshot import decode
from mosn_mp.controller.admin_servers import AdminServers
from mosn_mp.controller.admin_source import ControllerSource
from mosn_mp.controller.arguments import Arguments
from mosn_mp.controller.config_file import ConfigFile
from mosn_mp.controller.figures import FiguresOfAll
from mosn_mp.controller.loading import Found, load_anew, load_edit, reject
from mosn_mp.controller.proposals import Proposals
from mosn_mp.controller.stamp import Origin
from mosn_mp.ipc.channel import (
    SHORT_S,
    Channel,
    ChannelClosedError,
    ChannelShortError,
    ChannelStuckError,
    Delivery,
    LostFdsError,
    close_fds,
)
from mosn_mp.ipc.conversation import converse
from mosn_mp.ipc.frames import (
    Adopt,
    Concluded,
    Failed,
    Figures,
    Frame,
    Load,
    OpenLog,
    Quit,
    ReopenLogs,
    Retire,
    Served,
    SetLogEnabled,
    SetLogLevel,
    State,
    Unchanged,
)
from mosn_mp.ipc.memfd import read_sealed
from mosn_mp.ipc.plan import decode_plan
from mosn_mp.ipc.tables import decode_tables
from mosn_mp.observe.log_files import LogFiles
from mosn_mp.observe.metrics.metrics import Metrics
from mosn_mp.observe.stray_errors import log_stray_errors
from mosn_mp.plugin import CATALOGUE, Edition

log = logging.getLogger("mosn_mp.controller")


class ControllerProcess:
    """The conversation with the master, until wait_end()."""

    def __init__(self, channel: Channel, config: Config | None, arguments: Arguments, origin: Origin) -> None:
        """*config* None: it comes with Adopt; else it was read from *origin*."""
        self._channel = channel
        self._flusher: gevent.Greenlet[[], None] | None = None  # while something waits to be sent
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
        self._figures = FiguresOfAll(self._send)
        self._admin: AdminServers | None = None
        self._ended = Event()

    def wait_end(self) -> int:
        """Work until the master says Quit or is gone; 0."""
        log_stray_errors(gevent.get_hub())
        gevent.spawn(self._converse)
        self._ended.wait()
        if self._admin is not None:
            self._admin.close()
        return 0

    def _converse(self) -> None:
        try:
            converse(self._channel, self._take)
        except ChannelClosedError:
            pass  # without a master there is nothing to decide
        except LostFdsError as e:
            log.error("%s: another controller has to go on", e)
        except ValueError as e:
            log.error("controller: the master sent what is no frame: %s", str(e)[:200])
        finally:
            self._ended.set()

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
            case Figures():
                self._figures.take(delivery.frame)
            case Served(version=version):
                if self._found is not None:
                    self._config, self._origin = self._found.config, self._found.origin
                    CATALOGUE.serve(self._found.edition)
                    self._found = None
                self._version = version
                self._show(delivery.fds)
                self._file_served()
            case Failed():
                self._found = None
            case State(stage=stage):
                self._stage = stage
                if self._source is not None:
                    self._source.stage = stage
            case OpenLog(path=path, level=level):
                self._logs.move(path, level)
            case SetLogLevel(path=path, level=level):
                self._logs.set_level(path, level)
            case SetLogEnabled(path=path, enabled=enabled):
                self._logs.set_enabled(path, enabled)
            case Retire(deadline_s=deadline_s):
                gevent.spawn(self._retire, deadline_s)
            case ReopenLogs():
                self._logs.reopen()
            case Quit():
                self._ended.set()
            case _:
                log.error("a %s frame is not for a controller", type(delivery.frame).__name__)

    def _retire(self, deadline_s: float) -> None:
        self._file.leave()
        if self._admin is not None:
            self._admin.retire(deadline_s)
        self._ended.set()

    def _send(self, frame: Frame, fds: tuple[int, ...] = ()) -> None:
        try:
            self._channel.send(frame, fds)
        except (ChannelClosedError, ChannelStuckError):
            return  # end-of-file tells the reader; a master that does not read finds out by itself
        except ChannelShortError as e:
            log.error("a %s frame was not sent: %s: another controller has to go on", type(frame).__name__, e)
            self._ended.set()
        if self._channel.has_waiting() and not self._flusher:
            self._flusher = gevent.spawn(self._flush)

    def _flush(self) -> None:
        with contextlib.suppress(ChannelClosedError):
            while self._channel.has_waiting():
                gevent.sleep(SHORT_S)
                self._channel.flush()

    def _adopt(self, adopt: Adopt, snapshot: bytes, packed_plan: bytes) -> None:
        plan = decode_plan(packed_plan)
        served = decode(snapshot)
        self._config = served.config()
        CATALOGUE.serve(Edition(served.sources))  # what lies there now may be other code than what is served
        self._file.path, self._file.known = plan.config_path, adopt.filed
        stamp = adopt.filed.stamp if adopt.filed.version == adopt.version else plan.stamp
        self._origin = Origin(plan.config_path, stamp) if stamp else None

    def _load(self, wish: Load, fds: list[int]) -> None:
        assert self._config is not None
        try:
            if wish.edit:
                found = load_edit(wish, read_sealed(fds[0]), self._config, self._log_level)
            else:
                found = load_anew(wish, self._config, self._log_level)
        except OSError as e:  # no descriptor or memory for what was found
            found = reject(wish, [f"{wish.edit or wish.path}: {e.strerror or e}"], CATALOGUE.edition)
        if isinstance(found.frame, Unchanged) and found.origin is not None:
            self._file.says(found.origin, self._version)
            if self._source is not None:
                self._source.renew_access()  # the configuration is the same, but there may be another token in its file
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
        tables_fd, holdings_fd, metrics_fd = fds
        tables = decode_tables(read_sealed(tables_fd))
        if self._source is not None and self._admin is not None:
            self._source.take(self._config, tables)
            self._admin.take(self._config)
            return
        server = self._config.server
        self._logs.open(server.default_log_path, self._log_level or server.default_log_level)
        metrics = Metrics(Segment.attach(os.dup(metrics_fd), tables.metrics, is_read_only=True))
        holdings = Holdings(Segment.attach(os.dup(holdings_fd), tables.arena, is_read_only=True))
        self._source = ControllerSource(self._config, metrics, tables, holdings, self._logs)
        self._source.gates = self._gates
        self._source.file = self._file
        self._source.stage = self._stage
        self._source.send = self._send
        self._source.measure = self._figures.wait
        self._source.propose = self._proposals.propose
        self._admin = AdminServers(AdminApi(self._source), self._source.counts, self._send)
        self._admin.take(self._config)

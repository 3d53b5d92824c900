"""What the admin API shows, gathered from the configuration, the shared counters and the conversation with the master."""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from mosn_mp.admin.access import Access
from mosn_mp.admin.counts import AdminCounts
from mosn_mp.admin.source import Stats
from mosn_mp.buffer.holdings import Holdings
from mosn_mp.config.model import Admin, Config
from mosn_mp.config.token import read_token
from mosn_mp.controller.config_file import ConfigFile
from mosn_mp.controller.config_tree import shown_tree
from mosn_mp.controller.names import names_of
from mosn_mp.errors import ConfigError
from mosn_mp.ipc.frames import Frame, SetLogEnabled, SetLogLevel
from mosn_mp.ipc.report import ReloadReport
from mosn_mp.ipc.tables import Tables
from mosn_mp.observe.log_files import LogFiles
from mosn_mp.observe.metrics.metrics import Metrics
from mosn_mp.observe.metrics.prometheus import render
from mosn_mp.observe.metrics.reading import Names, read_all
from mosn_mp.observe.metrics.stats import stats
from mosn_mp.observe.proc import ProcessReading
from mosn_mp.version import VERSION

log = logging.getLogger("mosn_mp.controller")


class ControllerSource:
    """The running program as the admin API sees it; implements admin.source.AdminSource."""

    def __init__(self, config: Config, metrics: Metrics, tables: Tables, holdings: Holdings, logs: LogFiles) -> None:
        self._metrics = metrics
        self._holdings = holdings
        self._logs = logs
        self.stage = 0
        self.gates: Mapping[str, bool] = {}
        self.file: ConfigFile | None = None
        self.send: Callable[[Frame], None] = _ignore
        self.propose: Callable[[str, bytes], ReloadReport] = _refuse
        self.measure: Callable[[], Mapping[str, ProcessReading]] = dict
        self.counts = AdminCounts()
        self.take(config, tables)

    def take(self, config: Config, tables: Tables) -> None:
        """Show *config*, whose counters *tables* find, from now on."""
        self._config = config
        self._tables = tables
        self._known_names: Names | None = None
        self.renew_access()

    def renew_access(self) -> None:
        """Read the token anew."""
        self._access = access_of(self._config.admin)

    def _names(self) -> Names:
        """What is counted where; worked out when somebody asks."""
        if self._known_names is None:
            self._known_names = names_of(self._config, self._tables)
        return self._known_names

    def version(self) -> str:
        """The release."""
        return VERSION

    def pid(self) -> int:
        """The master, our parent."""
        return os.getppid()

    def state(self) -> int:
        """MOSN's stage number, as the master told it last."""
        return self.stage

    def config(self) -> dict[str, Any]:
        """The configuration under MOSN's keys, without secrets."""
        return shown_tree(self._config)

    def stats(self) -> Stats:
        """The counters in the nesting of MOSN's console sink."""
        return stats(read_all(self._metrics, self._names()))

    def prometheus(self) -> Iterator[bytes]:
        """The counters, the processes and the arena in Prometheus' text format."""
        own = (
            ("admin_refused_requests_total", "Requests of the admin API refused: a foreign Host or Origin, no token.",
             self.counts.refused_requests),
            ("admin_refused_connections_total", "Connections of the admin API refused.", self.counts.refused_connections),
            ("admin_dropped_connections_total", "Connections of the admin API that made room for newer ones.",
             self.counts.dropped_connections),
        )  # fmt: skip
        return render(read_all(self._metrics, self._names()), self.measure(), self._holdings.usage(), VERSION, own)

    def log_levels(self) -> Mapping[str, str]:
        """The level of each process log."""
        return self._logs.levels()

    def set_log_level(self, log_path: str, level: str) -> bool:
        """Log from *level* on into *log_path* ("" = the default log) in all processes; False = no such log."""
        if not self._logs.set_level(log_path, level):
            return False
        self.send(SetLogLevel(log_path, level))
        return True

    def set_log_enabled(self, log_path: str, enabled: bool) -> bool:
        """Switch the process or access log *log_path* on or off in all processes; False = no such log."""
        if not self._logs.set_enabled(log_path, enabled) and log_path not in self._access_logs():
            return False
        self.send(SetLogEnabled(log_path, enabled))
        return True

    def features(self) -> Mapping[str, bool]:
        """MOSN's feature gates."""
        return self.gates

    def env(self, name: str) -> str | None:
        """The environment variable *name* of this process, which is the master's."""
        return os.environ.get(name)

    def shown_env(self) -> Collection[str]:
        """What `admin.env` names."""
        return self._config.admin.env if self._config.admin is not None else ()

    def access(self) -> Access:
        """Who may ask for what."""
        return self._access

    def takes_changes(self) -> bool:
        """Whether `admin.debug` is on."""
        return self._config.admin is not None and self._config.admin.debug

    def change(self, edit: str, body: bytes) -> ReloadReport:
        """Have what is served edited; waits for what came of it."""
        return self.propose(edit, body)

    def file_problem(self) -> str:
        """Why auto_config did not write what is served."""
        return self.file.problem if self.file is not None else ""

    def _access_logs(self) -> set[str]:
        return {log.log_path for listener in self._config.server.listeners for log in listener.access_logs}


def access_of(admin: Admin | None) -> Access:
    """Whom *admin* says that the API answers. A token that cannot be read is none: no change by it, and the log says why."""
    if admin is None:
        return Access()
    token = b""
    if admin.token_file:
        try:
            token = read_token(admin.token_file, (os.geteuid(),))
        except ConfigError as e:
            log.error("admin: no changes by token: %s", e.problem)
    return Access(frozenset(name.lower() for name in admin.hosts), token, admin.unauthenticated_changes)


def _refuse(_: str, __: bytes) -> ReloadReport:
    """Until the conversation with the master is there."""
    raise TimeoutError


def _ignore(_: Frame) -> None:
    """Until the conversation with the master is there."""

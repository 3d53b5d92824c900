"""What the admin API asks of the process that serves it: the controller implements this, the API knows nothing else."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

from mosn_mp.admin.access import Access
from mosn_mp.ipc.report import ReloadReport

Number = int | float | str
Stats = Mapping[str, Mapping[str, Mapping[str, Number]]]


class AdminSource(Protocol):
    """The running program as the admin API sees it. Methods answer at once, from what the controller knows."""

    def version(self) -> str:
        """The version that is shown."""

    def pid(self) -> int:
        """The process id of the master."""

    def state(self) -> int:
        """MOSN's stage number of the whole program (pkg/stagemanager)."""

    def config(self) -> dict[str, Any]:
        """The running configuration as a tree of JSON values under MOSN's keys; the API changes nothing in it."""

    def stats(self) -> Stats:
        """All metrics: type (`downstream`), then labels joined by dots (`listener.front`), then key, then the sum."""

    def prometheus(self) -> Iterator[bytes]:
        """All metrics in Prometheus' text format 0.0.4, in pieces."""

    def log_levels(self) -> Mapping[str, str]:
        """The level of each process log by its path."""

    def set_log_level(self, log_path: str, level: str) -> bool:
        """Log from *level* on into *log_path* ("" = the default log) in all processes; False = no such log."""

    def set_log_enabled(self, log_path: str, enabled: bool) -> bool:
        """Switch the process or access log *log_path* on or off in all processes; False = no such log."""

    def features(self) -> Mapping[str, bool]:
        """The feature gates and whether they are on."""

    def takes_changes(self) -> bool:
        """Whether the configuration may be changed by change()."""

    def change(self, edit: str, body: bytes) -> ReloadReport:
        """Have *edit* (`update_config`, `update_route`) made as the JSON *body* says; waits until all workers serve it, or none.

        TimeoutError: nobody knows what came of it.
        """

    def file_problem(self) -> str:
        """Why the feature gate auto_config could not write to the file what is served; "" = it did, or is off."""

    def env(self, name: str) -> str | None:
        """The environment variable *name*, None = not set."""

    def shown_env(self) -> Collection[str]:
        """The names of the environment variables that may be shown."""

    def access(self) -> Access:
        """Who may ask for what."""

"""`mosn_mp start`: the master in this process, in the order that makes the start short."""

from collections.abc import Callable
from pathlib import Path

import mosn_mp
from mosn_mp.master.hot_check import HotModuleError, check_hot_modules, check_loaded
from mosn_mp.master.supervisor import Master
from mosn_mp.worker.boot import PlaneFactory


def run_master(config_path: str, log_level: str, import_plane: Callable[[], PlaneFactory]) -> int:
    """Serve *config_path* until told to stop; the exit status. HotModuleError before anything was started."""
    check_hot_modules(Path(mosn_mp.__file__).parent)
    return Master(config_path, log_level, lambda: _import_checked(import_plane)).run()


def _import_checked(import_plane: Callable[[], PlaneFactory]) -> PlaneFactory:
    make_plane = import_plane()
    check_loaded()
    return make_plane


def import_data_plane() -> PlaneFactory:
    """The real data plane; gevent is imported here and makes its hub in each worker, after fork."""
    from mosn_mp.worker.dataplane import make_data_plane  # only now: the controller is reading the config meanwhile

    return make_data_plane


__all__ = ["HotModuleError", "import_data_plane", "run_master"]

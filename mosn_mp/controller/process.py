"""The controller after its start: listens to the master, serves admin HTTP, decides nothing that the data plane waits for."""

import logging

import gevent
from gevent.event import Event

from mosn_mp.config.model import Config
from mosn_mp.config.snapshot import decode
from mosn_mp.controller.plan import make_plan
from mosn_mp.ipc.channel import Channel, ChannelClosedError, Delivery, close_fds
from mosn_mp.ipc.conversation import converse
from mosn_mp.ipc.frames import Adopt, Failed, Quit, ReopenLogs, Served, State
from mosn_mp.ipc.memfd import read_sealed
from mosn_mp.observe.log_files import LogFiles

log = logging.getLogger("mosn_mp.controller")


class ControllerProcess:
    """The conversation with the master, until wait_end()."""

    def __init__(self, channel: Channel, config: Config | None, config_path: str, log_level: str) -> None:
        """*config* None: it comes with Adopt."""
        self._channel = channel
        self._config = config
        self._config_path = config_path
        self._log_level = log_level
        self._logs = LogFiles("controller")
        self._ended = Event()
        self._stage = 0

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
                self._config = decode(read_sealed(delivery.fds[0]))
            case Served():
                self._serve(delivery)
            case Failed(reason=reason):
                log.error("the config was refused: %s", reason)
            case State(stage=stage):
                self._stage = stage
            case ReopenLogs():
                self._logs.reopen()
            case Quit():
                self._ended.set()
            case _:
                log.error("a %s frame is not for a controller", type(delivery.frame).__name__)

    def _serve(self, delivery: Delivery) -> None:
        assert self._config is not None
        plan = make_plan(self._config, self._config_path, self._log_level)
        self._logs.open(plan.log_path, plan.log_level)

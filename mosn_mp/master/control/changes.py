"""Changes that nobody asked for at the control socket: by signals, the admin API, the master before this one.

What changes the configuration takes its turn (upgrade/deferral.py); a switch works at once, and in the next generation too.
"""

import contextlib
import logging
import os
from collections.abc import Callable

from mosn_mp.ipc.channel import Delivery
from mosn_mp.ipc.frames import Ask, Forward, Frame, Propose, ReopenLogs, SetLogEnabled, SetLogLevel, SwitchHost
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.master.border.received import edit_in
from mosn_mp.master.events.channel import Send
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.processes.workers import Workers
from mosn_mp.master.rollout.proposals import conclude, log_change, propose
from mosn_mp.master.rollout.reload import ChangeRequest, Reloader
from mosn_mp.master.state.hosts import UnknownHostError, switch_host
from mosn_mp.master.state.logs import Logs
from mosn_mp.master.state.served import ServedState
from mosn_mp.master.upgrade.deferral import Deferral, Request
from mosn_mp.master.upgrade.old_side import OldSide

log = logging.getLogger("mosn_mp.master")


class Changes:
    """Makes them, or has them made."""

    def __init__(
        self,
        served: ServedState,
        logs: Logs,
        workers: Workers,
        controller: ControllerProcess,
        reloader: Reloader,
        old_side: OldSide,
        deferral: Deferral,
    ) -> None:
        self._served = served
        self._logs = logs
        self._workers = workers
        self._controller = controller
        self._reloader = reloader
        self._old_side = old_side
        self._deferral = deferral

    def reload(self) -> None:
        """Take the file as it is, as soon as that may be done; nobody waits for an answer."""

        def do() -> None:
            self._reloader.ask(ChangeRequest(self._served.config_path), lambda report: log_change("reload", report))

        self._deferral.submit(Request(do, lambda send: send(Forward(Ask("reload")), ()), lambda _: None, key="reload"))

    def propose(self, proposal: Propose, body: bytes, send: Send) -> None:
        """Do what a controller proposes, with the JSON *body*, as soon as that may be done, and *send* it what came of it."""

        def pass_on(send_on: Send) -> None:
            fd = seal_bytes("mosn_mp-edit", body)
            send_on(proposal, (fd,))
            os.close(fd)

        self._deferral.submit(
            Request(
                lambda: propose(self._reloader, proposal, body, send),
                pass_on,
                lambda problem: conclude(proposal, self._reloader.refusal(problem), send),
            )
        )

    def take_forwarded(self, delivery: Delivery, send: Send, adopt: Callable[[int, Ask], None]) -> None:
        """Do what the master before this one was asked, and *send* it the answer; *adopt* takes clients of its control socket."""
        frame, fds = delivery
        if isinstance(frame, Propose):
            self.propose(frame, edit_in(fds[0]), send)
        elif isinstance(frame, Forward) and fds:
            adopt(delivery.take_fd(), frame.ask)
        else:
            self.reload()

    def switch_log(self, frame: SetLogLevel | SetLogEnabled) -> None:
        """Do what the admin API was told of a log, if it is one of those that are served."""
        if self._logs.switch(frame, self._served.plan):
            self._workers.broadcast(frame)
            self._old_side.send(frame)

    def reopen_logs(self) -> None:
        """Open every log file anew in all processes: they were renamed."""
        self._logs.files.reopen()
        if self._served.accepted is not None:
            self._logs.provide(self._served.plan)
        self._workers.broadcast(ReopenLogs())
        self._controller.send(ReopenLogs())
        self._old_side.send(ReopenLogs())  # the next generation may have opened them before
        log.info("SIGUSR1: logs reopened")

    def take_switch(self, frame: Frame) -> None:
        """Do what was switched in the generation before this one."""
        if isinstance(frame, SetLogLevel | SetLogEnabled):
            self.switch_log(frame)
            self._controller.send(frame)
        elif isinstance(frame, ReopenLogs):
            self.reopen_logs()
        elif isinstance(frame, SwitchHost) and self._served.shared().rebuilt:  # else it is the same memory
            with contextlib.suppress(UnknownHostError):
                switch_host(self._served.shared(), self._served.plan, frame.cluster, frame.address, frame.enable)

"""Changes of the configuration that come from no file: proposed by the controller for the admin API, or asked by a command."""

import logging
from collections.abc import Callable

import msgspec

from mosn_mp.errors import printable
from mosn_mp.ipc.channel import Delivery, close_fds
from mosn_mp.ipc.frames import Answer, Ask, Concluded, Propose
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.report import ReloadReport
from mosn_mp.master.border.received import edit_in
from mosn_mp.master.processes.controller import ControllerProcess
from mosn_mp.master.rollout.reload import ChangeRequest, Reloader

log = logging.getLogger("mosn_mp.master")


def take_proposal(reloader: Reloader, controller: ControllerProcess, delivery: Delivery) -> None:
    """Do what the controller proposes and tell it, or the one after it, what came of it."""
    frame = delivery.frame
    assert isinstance(frame, Propose)
    body = edit_in(delivery.fds[0])

    def tell(report: ReloadReport) -> None:
        log_change(printable(frame.edit[:100]), report)
        fd = seal_bytes("mosn_mp-report", msgspec.msgpack.encode(report))
        controller.send(Concluded(frame.token), (fd,))
        close_fds([fd])

    reloader.ask(ChangeRequest(edit=frame.edit, body=body), tell)


def set_host_weight(reloader: Reloader, ask: Ask, show: Callable[[], Answer], reply: Callable[[Answer], None]) -> None:
    """Give the host of *ask* its new weight and *reply* as *show* says, or why not."""

    def tell(report: ReloadReport) -> None:
        log_change(f"host weight {ask.cluster}/{ask.address} {ask.weight}", report)
        reply(show() if report.ok else Answer(False, "\n".join(report.problems)))

    body = {"cluster": ask.cluster, "address": ask.address, "weight": ask.weight}
    reloader.ask(ChangeRequest(edit="host weight", body=msgspec.json.encode(body)), tell)


def log_change(what: str, report: ReloadReport) -> None:
    """What came of a change, for the log."""
    if report.problems:
        log.error("%s refused, version %d goes on: %s", what, report.version, "; ".join(report.problems))
        return
    log.info("%s: version %d serves after %.0f ms", what, report.version, report.took_s * 1000)

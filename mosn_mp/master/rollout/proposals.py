"""Changes of the configuration that come from no file: proposed by the controller for the admin API, or asked by a command."""

import logging
from collections.abc import Callable

import msgspec

from mosn_mp.errors import printable
from mosn_mp.ipc.channel import close_fds
from mosn_mp.ipc.frames import Answer, Ask, Concluded, Propose
from mosn_mp.ipc.memfd import seal_bytes
from mosn_mp.ipc.report import ReloadReport
from mosn_mp.master.events.channel import Send
from mosn_mp.master.rollout.reload import ChangeRequest, Reloader

log = logging.getLogger("mosn_mp.master")


def propose(reloader: Reloader, proposal: Propose, body: bytes, send: Send) -> None:
    """Do what a controller proposes, with the JSON *body*, and *send* it what came of it."""

    def tell(report: ReloadReport) -> None:
        log_change(printable(proposal.edit[:100]), report)
        conclude(proposal, report, send)

    reloader.ask(ChangeRequest(edit=proposal.edit, body=body), tell)


def conclude(proposal: Propose, report: ReloadReport, send: Send) -> None:
    """*send* what came of *proposal*."""
    try:
        fd = seal_bytes("mosn_mp-report", msgspec.msgpack.encode(report))
    except OSError as e:
        log.error("%s: what came of it cannot be told: %s", printable(proposal.edit[:100]), e.strerror)
        return
    send(Concluded(proposal.token), (fd,))
    close_fds([fd])


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

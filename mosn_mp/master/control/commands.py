"""What the command line asks at the control socket, and who answers it."""

import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from mosn_mp.ipc.frames import Answer, Ask
from mosn_mp.ipc.plan import Plan
from mosn_mp.ipc.report import ReloadReport
from mosn_mp.master.control.hosts import UnknownHostError, switch_host
from mosn_mp.master.control.status import MasterView, make_report
from mosn_mp.master.processes.rebalance import Rebalancer
from mosn_mp.master.rollout.deployment import Snapshot
from mosn_mp.master.rollout.proposals import log_change, set_host_weight
from mosn_mp.master.rollout.reload import ChangeRequest, Reloader
from mosn_mp.master.state.shared_memory import SharedMemory
from mosn_mp.master.upgrade.old_side import OldSide

log = logging.getLogger("mosn_mp.master")

HOST_VERBS = {"host enable": True, "host disable": False, "host show": None}  # what they do to its flag

Reply = Callable[[Answer], None]


class Owner(Protocol):
    """What answers need of the master."""

    config_path: str
    plan: Plan
    shared: SharedMemory | None
    accepted: Snapshot | None
    reloader: Reloader
    rebalancer: Rebalancer
    old_side: OldSide

    def view(self) -> MasterView:
        """What `status` shows."""

    def stage_text(self) -> str:
        """The stage in words; "running" is the one in which changes can be made."""


class Commands:
    """Answers each question, now or when there is an answer."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._changes: dict[str, Callable[[Ask, Reply], None]] = {
            "reload": self._reload,
            "rebalance": lambda _, reply: owner.rebalancer.begin(lambda report: reply(_packed(report))),
            "upgrade": lambda ask, reply: owner.old_side.ask(ask.path, lambda report: reply(_packed(report))),
            "host weight": lambda ask, reply: set_host_weight(owner.reloader, ask, lambda: self._host(ask), reply),
        }

    def answer(self, ask: Ask, reply: Reply) -> None:
        """Tell *reply* the answer to *ask*."""
        change = self._changes.get(ask.what)
        if ask.what == "status":
            reply(_packed(make_report(self._owner.view())))
        elif ask.what in HOST_VERBS:
            reply(self._host(ask))
        elif change is None:
            known = ", ".join(("status", *HOST_VERBS, *self._changes))
            reply(Answer(False, f"unknown question {ask.what!r}; this master answers: {known}"))
        elif self._owner.stage_text() != "running":
            reply(Answer(False, f"the program is {self._owner.stage_text()}: nothing was changed"))
        else:
            change(ask, reply)

    def _reload(self, ask: Ask, reply: Reply) -> None:
        def tell(report: ReloadReport) -> None:
            if not report.is_dry_run:
                log_change("reload", report)
            reply(_packed(report))

        self._owner.reloader.ask(ChangeRequest(ask.path or self._owner.config_path, ask.is_dry_run), tell)

    def _host(self, ask: Ask) -> Answer:
        shared = self._owner.shared
        if shared is None or self._owner.accepted is None:
            return Answer(False, "the program is starting")
        try:
            report = switch_host(shared, self._owner.plan, ask.cluster, ask.address, HOST_VERBS.get(ask.what))
        except UnknownHostError as e:
            return Answer(False, str(e))
        if HOST_VERBS.get(ask.what) is not None:
            log.warning("%s: %s/%s", ask.what, ask.cluster, ask.address)
        return _packed(report)


def _packed(report: object) -> Answer:
    return Answer(True, body=msgspec.msgpack.encode(report))

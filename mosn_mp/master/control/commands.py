"""The commands at the control socket: each is answered here, or by the room that it is about."""

import logging
import os
from collections.abc import Callable

import msgspec

from mosn_mp.ipc.frames import Answer, Ask, Forward, SwitchHost
from mosn_mp.ipc.report import ReloadReport
from mosn_mp.master.control.server import Question
from mosn_mp.master.control.status import Status
from mosn_mp.master.events.channel import Send
from mosn_mp.master.processes.rebalance import Rebalancer
from mosn_mp.master.rollout.proposals import log_change, set_host_weight
from mosn_mp.master.rollout.reload import ChangeRequest, Reloader
from mosn_mp.master.state.hosts import UnknownHostError, switch_host
from mosn_mp.master.state.served import ServedState
from mosn_mp.master.state.stages import Stage, Stages
from mosn_mp.master.upgrade.deferral import Deferral, Request
from mosn_mp.master.upgrade.old_side import OldSide

log = logging.getLogger("mosn_mp.master")

HOST_VERBS = {"host enable": True, "host disable": False, "host show": None}  # what they do to its flag

Reply = Callable[[Answer], None]


class Commands:
    """Answers each question, now or when there is an answer."""

    def __init__(
        self,
        served: ServedState,
        stages: Stages,
        status: Status,
        reloader: Reloader,
        rebalancer: Rebalancer,
        old_side: OldSide,
        deferral: Deferral,
    ) -> None:
        self._served = served
        self._stages = stages
        self._status = status
        self._reloader = reloader
        self._old_side = old_side
        self._deferral = deferral
        self._changes: dict[str, Callable[[Ask, Reply], None]] = {
            "reload": self._reload,
            "rebalance": lambda _, reply: rebalancer.begin(lambda report: reply(_packed(report))),
            "host weight": lambda ask, reply: set_host_weight(reloader, ask, lambda: self._host(ask), reply),
        }

    def answer(self, question: Question) -> None:
        """Answer *question*, or let the next master do it."""
        ask, reply = question.ask, question.reply
        if self._deferral.is_passing():
            self._deferral.submit(self._request(question))
        elif ask.what == "status":
            reply(_packed(self._status.report()))
        elif ask.what in HOST_VERBS:
            reply(self._host(ask))
        elif ask.what not in ("upgrade", *self._changes):
            known = ", ".join(("status", *HOST_VERBS, "upgrade", *self._changes))
            reply(Answer(False, f"unknown question {ask.what!r}; this master answers: {known}"))
        elif self._stages.now is not Stage.RUNNING:
            reply(Answer(False, f"the program is {self._stages.text()}: nothing was changed"))
        elif ask.what == "upgrade":
            self._old_side.ask(ask.path, lambda report: reply(_packed(report)))
        else:
            self._deferral.submit(self._request(question))

    def _request(self, question: Question) -> Request:
        def do() -> None:
            if question.is_open():  # who gave up while it waited was not promised anything
                self._changes[question.ask.what](question.ask, question.reply)

        def pass_on(send: Send) -> None:
            client = question.detach()
            if client >= 0:
                send(Forward(question.ask), (client,))
                os.close(client)

        return Request(do, pass_on, lambda problem: question.reply(Answer(False, problem)))

    def _reload(self, ask: Ask, reply: Reply) -> None:
        def tell(report: ReloadReport) -> None:
            if not report.is_dry_run:
                log_change("reload", report)
            reply(_packed(report))

        self._reloader.ask(ChangeRequest(ask.path or self._served.config_path, ask.is_dry_run), tell)

    def _host(self, ask: Ask) -> Answer:
        if self._served.accepted is None:
            return Answer(False, "the program is starting")
        try:
            report = switch_host(self._served.shared(), self._served.plan, ask.cluster, ask.address, HOST_VERBS.get(ask.what))
        except UnknownHostError as e:
            return Answer(False, str(e))
        enable = HOST_VERBS.get(ask.what)
        if enable is not None:
            log.warning("%s: %s/%s", ask.what, ask.cluster, ask.address)
            self._old_side.send(SwitchHost(ask.cluster, ask.address, enable))
        return _packed(report)


def _packed(report: object) -> Answer:
    return Answer(True, body=msgspec.msgpack.encode(report))

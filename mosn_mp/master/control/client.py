"""`mosn_mp status`, `reload` and `host`: ask the running master, and print what it answers."""

import os.path
import time
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from mosn_mp.config.problems import listing
from mosn_mp.errors import printable
from mosn_mp.ipc.channel import Channel, ChannelClosedError
from mosn_mp.ipc.decoding import decoded
from mosn_mp.ipc.frames import Answer, Ask
from mosn_mp.ipc.memfd import MAX_CHANGES_BYTES, read_sealed
from mosn_mp.ipc.report import (
    Changes,
    Delta,
    HostReport,
    ProcessReport,
    RebalanceReport,
    ReloadReport,
    StatusReport,
    UpgradeReport,
)
from mosn_mp.master.control.running import NotFoundError, find_running

MAX_LINES = 1000  # of what a master says was wrong
Report = TypeVar("Report")


class AskError(Exception):
    """There is nobody to ask, or no answer."""


def ask_status(config_path: str) -> StatusReport:
    """The report of the master of *config_path*; raises AskError, ConfigErrors."""
    return _ask(config_path, Ask("status"), 5.0, StatusReport)


def ask_reload(config_path: str, is_dry_run: bool, timeout_s: float) -> ReloadReport:
    """What came of it when the master of *config_path* loaded that file anew; raises AskError, ConfigErrors."""
    ask = Ask("reload", os.path.abspath(config_path), is_dry_run)
    return _ask(config_path, ask, timeout_s, ReloadReport)


def ask_host(config_path: str, what: str, cluster: str, address: str) -> HostReport:
    """The host after *what*: `enable`, `disable` or `show`; raises AskError, ConfigErrors."""
    return _ask(config_path, Ask(f"host {what}", cluster=cluster, address=address), 5.0, HostReport)


def ask_upgrade(config_path: str, program: str, timeout_s: float) -> UpgradeReport:
    """What came of it when the master of *config_path* was asked to give way to *program* ("" = the one it was started as)."""
    path = os.path.abspath(program) if program else ""
    return _ask(config_path, Ask("upgrade", path), timeout_s, UpgradeReport)


def upgrade_text(report: UpgradeReport) -> str:
    """*report* for people."""
    if report.problems:
        return "\n".join([*report.problems, f"refused: pid {report.old_pid} goes on serving"])
    return f"pid {report.new_pid} serves version {report.version} after {report.took_s:.1f} s; pid {report.old_pid} drains"


def ask_rebalance(config_path: str, timeout_s: float) -> RebalanceReport:
    """What came of it when the master of *config_path* evened out connections; raises AskError, ConfigErrors."""
    return _ask(config_path, Ask("rebalance"), timeout_s, RebalanceReport)


def rebalance_text(report: RebalanceReport) -> str:
    """*report* for people."""
    slots = sorted(report.before.keys() | report.after.keys())
    lines = [f"worker {slot}: {report.before.get(slot, 0)} -> {report.after.get(slot, 0)} connections" for slot in slots]
    return "\n".join([*lines, f"{report.moved} connections moved in {report.took_s * 1000:.0f} ms"])


def ask_weight(config_path: str, cluster: str, address: str, weight: int, timeout_s: float) -> HostReport:
    """The host once all workers give it *weight*; raises AskError (also if it was refused), ConfigErrors."""
    return _ask(config_path, Ask("host weight", cluster=cluster, address=address, weight=weight), timeout_s, HostReport)


def wait_drained(config_path: str, cluster: str, address: str, timeout_s: float) -> HostReport:
    """The host once no request is under way at it, or as it is after *timeout_s*; raises as ask_host()."""
    until = time.monotonic() + timeout_s
    while True:
        report = ask_host(config_path, "show", cluster, address)
        if report.active == 0 or time.monotonic() >= until:
            return report
        time.sleep(0.05)


def host_text(report: HostReport) -> str:
    """*report* for people."""
    where = "in rotation" if report.in_rotation else "out of rotation"
    others = f"{report.others} other hosts of the cluster are in rotation"
    weight = f" with weight {report.weight}" if report.weight != 1 else ""
    return f"{report.cluster}/{report.address} is {where}{weight}, {report.active} requests under way; {others}"


def _ask(config_path: str, ask: Ask, timeout_s: float, answer: type[Report]) -> Report:
    """What the master says; AskError, ConfigErrors."""
    try:
        master = find_running(config_path)
    except NotFoundError as e:
        raise AskError(str(e)) from e
    try:
        return report_over(Channel(master.sock), ask, timeout_s, answer)
    except (OSError, ChannelClosedError, ValueError) as e:  # TimeoutError is an OSError
        raise AskError(printable(f"pid {master.pid} does not answer: {e}")) from e
    finally:
        master.close()


def report_over(channel: Channel, ask: Ask, timeout_s: float, answer: type[Report]) -> Report:
    """The *answer* to *ask*, fit to be shown: what could end a line or move a cursor is escaped; AskError: why there is none.

    TimeoutError, ChannelClosedError, ValueError: who is at the other end does not say what a master says.
    """
    found = ask_over(channel, ask, timeout_s)
    if not found.ok:
        raise AskError("\n".join(printable(line) for line in found.problem.split("\n")[:MAX_LINES]))
    report = decoded(msgspec.msgpack.Decoder(answer), found.body)
    return msgspec.convert(_escaped(msgspec.to_builtins(report)), answer)


def ask_over(channel: Channel, ask: Ask, timeout_s: float) -> Answer:
    """The answer to *ask* over *channel*; TimeoutError, ChannelClosedError, ValueError."""
    channel.max_fds = 1
    channel.send(ask)
    delivery = channel.wait_receive(timeout_s)
    try:
        if not isinstance(delivery.frame, Answer):
            raise ChannelClosedError(f"it said {type(delivery.frame).__name__}")
        return replace(delivery.frame, body=b"".join(read_sealed(fd, MAX_CHANGES_BYTES) for fd in delivery.fds))
    finally:
        delivery.close()


def _escaped(value: Any) -> Any:
    """*value* with every text in it printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list | tuple):
        return [_escaped(one) for one in value]
    if isinstance(value, dict):
        return {_escaped(key): _escaped(one) for key, one in value.items()}
    return value


def report_json(report: StatusReport | ReloadReport | HostReport | RebalanceReport | UpgradeReport) -> str:
    """*report* as JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def status_text(report: StatusReport) -> str:
    """*report* for people."""
    lines = [
        f"{report.program} {report.state}, config version {report.config_version} of {report.config_path}, "
        f"memory {_mib(report.pss_bytes)}" + (f", admin {report.admin_address}" if report.admin_address else ""),
        "",
        *_table(
            ("process", "pid", "state", "version", "uptime", "memory", "connections", "active", "requests", "deaths"),
            [
                (
                    _name(p), str(p.pid), p.state, str(p.version or "-"),
                    f"{p.uptime_s:.0f} s", _mib(p.pss_bytes), _count(p.slot, p.connections), _count(p.slot, p.active),
                    _count(p.slot, p.requests), str(p.deaths),
                )
                for p in report.processes
            ],
        ),
        *([f"the generation before this one drains: master {report.draining_master}"] if report.draining_master else []),
        *(f"not confined in {line}" for line in report.unconfined),
        *_file_lines(report),
        *([f"out of rotation: {listing(report.disabled_hosts)}"] if report.disabled_hosts else []),
        *_weight_lines(report.weights),
        *(f"worker {p.slot}: {p.deaths} ended before, the last one: {p.last_end}" for p in report.processes if p.last_end),
        "",
        *_descriptor_lines(report.processes),
        "",
        *_table(
            ("listener", "address", "connections", "in all", "requests"),
            [(x.name, x.address, str(x.connections), str(x.connections_total), str(x.requests)) for x in report.listeners],
        ),
        "",
        *_table(
            ("arena blocks", "total", "in use", "in memory"),
            [(f"{x.block_bytes // 1024} KiB", str(x.total), str(x.total - x.free), str(x.touched)) for x in report.arena],
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def _descriptor_lines(processes: list[ProcessReport]) -> list[str]:
    """What each may open, and has; whether clients wait for want of descriptors."""
    rows = []
    for process in processes:
        budget = process.descriptors
        row = [_name(process), str(budget.limit), str(budget.used)]
        if process.slot < 0:
            row += ["-"] * 3
        else:
            row += [str(budget.reserved), "paused" if budget.accept_paused else "accepts", str(budget.accept_pauses)]
        rows.append(tuple(row))
    return _table(("descriptors", "limit", "used", "reserved", "now", "pauses"), rows)


def _name(process: ProcessReport) -> str:
    return f"{process.role} {process.slot}" if process.slot >= 0 else process.role


def _weight_lines(weights: dict[str, int]) -> list[str]:
    """`weight 5: cluster/host, ...`, a line for each weight."""
    hosts: dict[int, list[str]] = {}
    for host, weight in weights.items():
        hosts.setdefault(weight, []).append(host)
    return [f"weight {weight}: {listing(hosts[weight])}" for weight in sorted(hosts)]


def _file_lines(report: StatusReport) -> list[str]:
    """What the configuration file does not say."""
    if report.filed_version == report.config_version or not report.filed_version:
        return []
    problem = f"; not written: {report.file_problem}" if report.file_problem else ""
    return [f"changed since version {report.filed_version}, which is what the file says{problem}"]


def reload_text(report: ReloadReport) -> str:
    """*report* for people: what changed, then what serves; or why not."""
    if report.problems:
        return "\n".join([*report.problems, f"refused: version {report.version} goes on serving"])
    lines = [f"warning: {warning}" for warning in report.changes.warnings]
    lines += change_lines(report.changes)
    if report.workers != report.workers_before:
        lines.append(f"workers: {report.workers_before} -> {report.workers}")
    if report.is_dry_run:
        return "\n".join([*lines, f"dry run: version {report.version} goes on serving" + ("" if lines else "; nothing differs")])
    if len(lines) == len(report.changes.warnings):
        return "\n".join([*lines, f"nothing differs: version {report.version} goes on serving"])
    return "\n".join([*lines, f"version {report.version} serves after {report.took_s * 1000:.0f} ms"])


def change_lines(changes: Changes) -> list[str]:
    """One line for each kind of thing that changed: `listeners: added front; removed old`."""
    lines = []
    for kind in changes.__struct_fields__:
        delta = getattr(changes, kind)
        if not isinstance(delta, Delta):
            continue
        parts = [f"{verb} {listing(getattr(delta, verb))}" for verb in Delta.__struct_fields__ if getattr(delta, verb)]
        if parts:
            lines.append(f"{kind.replace('_', ' ')}: {'; '.join(parts)}")
    return lines


def _count(slot: int, number: int) -> str:
    return str(number) if slot >= 0 else "-"


def _mib(size: int) -> str:
    return f"{size / 1048576:.1f} MiB"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Aligned columns: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]

"""Hosts that an operator takes out of rotation and puts back, by a flag in shared memory that every worker sees at its next pick.

The flag survives reloads and the deaths of workers, as long as the host is configured; a restart of the program clears it. A
host's weight is no such flag: it is a key of the configuration, and changes as everything there does (rollout/proposals.py).
"""

from collections.abc import Iterator

from mosn_mp.ipc.plan import Plan
from mosn_mp.ipc.report import HostReport
from mosn_mp.master.state.shared_memory import SharedMemory

Labels = list[tuple[str, str]]


class UnknownHostError(Exception):
    """There is no such host; the text says which there are."""


def switch_host(shared: SharedMemory, plan: Plan, cluster: str, address: str, enable: bool | None) -> HostReport:
    """Put the host back into rotation, take it out, or (None) only look; raises UnknownHostError."""
    found = [labels for labels in _hosts(plan) if dict(labels)["cluster"] == cluster]
    if not found:
        known = sorted({dict(labels)["cluster"] for labels in _hosts(plan)})
        raise UnknownHostError(f"there is no cluster {cluster!r} with hosts; there are {', '.join(known) or 'none'}")
    labels = next((labels for labels in found if dict(labels)["host"] == address), None)
    if labels is None:
        known = [dict(labels)["host"] for labels in found]
        raise UnknownHostError(f"cluster {cluster!r} has no host {address!r}; there are {', '.join(known)}")
    if enable is not None:
        shared.set_disabled(labels, not enable)
    return HostReport(
        cluster=cluster,
        address=address,
        in_rotation=not shared.is_disabled(labels),
        active=shared.active_requests(labels),
        weight=plan.weights.get(f"{cluster}/{address}", 1),
        others=sum(not shared.is_disabled(other) for other in found if other is not labels),
    )


def disabled_hosts(shared: SharedMemory, plan: Plan) -> list[str]:
    """`cluster/address` of all that are out of rotation."""
    return ["/".join(value for _, value in labels) for labels in _hosts(plan) if shared.is_disabled(labels)]


def _hosts(plan: Plan) -> Iterator[Labels]:
    return (need.labels for need in plan.state if need.kind == "host")

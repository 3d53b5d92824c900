"""Hosts that an operator takes out of rotation and puts back, by a flag in shared memory that every worker sees at its next pick.

The flag survives reloads and the deaths of workers, as long as the host is configured; a restart of the program clears it. A
host's weight is no such flag: it is a key of the configuration, and changes as everything there does (rollout/proposals.py).
"""

from mosn_mp.config.problems import listing
from mosn_mp.ipc.plan import Plan
from mosn_mp.ipc.report import HostReport
from mosn_mp.master.state.shared_memory import SharedMemory


class UnknownHostError(Exception):
    """There is no such host; the text says which there are."""


def switch_host(shared: SharedMemory, plan: Plan, cluster: str, address: str, enable: bool | None) -> HostReport:
    """Put the host back into rotation, take it out, or (None) only look; raises UnknownHostError."""
    found = next((one.hosts for one in plan.clusters if one.name == cluster), [])
    if not found:
        known = sorted(one.name for one in plan.clusters if one.hosts)
        raise UnknownHostError(f"there is no cluster {cluster!r} with hosts; there are {listing(known)}")
    if address not in found:
        raise UnknownHostError(f"cluster {cluster!r} has no host {address!r}; there are {listing(found)}")
    if enable is not None:
        shared.set_disabled(cluster, address, not enable)
    return HostReport(
        cluster=cluster,
        address=address,
        in_rotation=not shared.is_disabled(cluster, address),
        active=shared.active_requests(cluster, address),
        weight=plan.weights.get(f"{cluster}/{address}", 1),
        others=sum(not shared.is_disabled(cluster, other) for other in found if other != address),
    )


def disabled_hosts(shared: SharedMemory, plan: Plan) -> list[tuple[str, str]]:
    """Cluster and address of all that are out of rotation."""
    disabled = shared.disabled_hosts()
    if not disabled:
        return []
    number = shared.numbering.hosts.find
    return [(one.name, host) for one in plan.clusters for host in one.hosts if number((one.name, host)) in disabled]

"""How many CPUs this process may use: its affinity mask and its cgroup's quota (v2 `cpu.max`, v1 `cpu.cfs_quota_us`).

As in MOSN, where `auto` is uber-go/automaxprocs: the quota is rounded down, but never below one.
"""

import os
from pathlib import Path

from mosn_mp.config.model import Config

MAX_WORKERS = 250  # Server.processor's limit


def worker_count(config: Config) -> int:
    """The number of workers that *config* asks for."""
    wanted = config.server.processor
    return wanted if isinstance(wanted, int) else min(usable_cpus(), MAX_WORKERS)


def usable_cpus(root: Path = Path("/")) -> int:
    """The CPUs that this process may use, at least 1; *root* is where /proc and /sys are."""
    cpus = len(os.sched_getaffinity(0))
    quota = min((quota for quota in _quotas(root) if quota is not None), default=None)
    return max(1, cpus if quota is None else min(cpus, int(quota)))


def _quotas(root: Path) -> list[float | None]:
    """The quotas, in CPUs, of this process's cgroups and of the groups around them."""
    found = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0":
            mount, read = root / "sys/fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            mount, read = _mount_v1(root, controllers), _quota_v1
        else:
            continue
        path = mount / group.lstrip("/")
        # In a container the group is often named as the host sees it, while its files are at the mount's top: both ends count.
        while path != mount.parent:
            found.append(read(path))
            path = path.parent
    return found


def _mount_v1(root: Path, controllers: str) -> Path:
    mounts = root / "sys/fs/cgroup"
    return mounts / controllers if (mounts / controllers).is_dir() else mounts / "cpu"


def _quota_v2(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _quota_v1(group: Path) -> float | None:
    quota, period = (_read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None  # -1 = no quota


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""

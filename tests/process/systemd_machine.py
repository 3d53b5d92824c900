"""A real systemd, as process 1 of namespaces of its own: it sees our files, starts our units, and touches nothing of the machine.

Its units, /run, /var/log and /root are its own; the network is the machine's, so that clients out here reach what it starts.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.process.program import ROOT, wait_until

BINARY = next((p for p in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(p)), "")
TARGETS = ("boot", "sysinit", "basic", "shutdown", "sockets", "network-online", "multi-user")
# $1: folder to be seen as /srv, $2: the cgroup to live in, $3...: folders below /root to be seen by everybody
SCRIPT = """
set -e
echo $$ > "$2/cgroup.procs"
exec setpriv --pdeathsig KILL unshare --fork --kill-child --pid --mount --uts --ipc --cgroup --propagation private bash -ec '
folder=$1; shift 2
mount --bind "$folder" /srv
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system /run/seen
at=0
for path in "$@"; do at=$((at + 1)); mkdir /run/seen/$at; mount --bind "$path" /run/seen/$at; done
mount -t tmpfs -o mode=755 tmpfs /root
at=0
for path in "$@"; do at=$((at + 1)); mkdir -p "$path"; mount --bind /run/seen/$at "$path"; done
mount -t tmpfs -o mode=755 tmpfs /var/log
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
export container=other SYSTEMD_UNIT_PATH=/srv/root/etc/systemd/system:/srv/targets
exec "$SYSTEMD" --system --unit=boot.target --log-target=console --log-level=info --show-status=no
' bash "$@"
"""


def why_not() -> str:
    """Why no systemd can be run here, "" if it can."""
    if os.geteuid() != 0:
        return "only root can start a systemd of its own"
    if not BINARY:
        return "systemd is not installed here"
    missing = [name for name in ("setpriv", "unshare", "nsenter", "systemctl", "bash") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed here"
    if subprocess.run(["unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "true"], check=False).returncode:
        return "namespaces cannot be made here"
    if not cgroup_folder():
        return "there is no cgroup2 file system that may be written here"
    if str(ROOT).startswith(("/tmp/", "/var/tmp/", "/home/")):
        return f"a service with PrivateTmp=yes and ProtectHome=yes does not see {ROOT}"
    return ""


def cgroup_folder() -> str:
    """Where a cgroup2 file system is mounted that we may make groups in; "" if nowhere."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(folder, os.W_OK):
            return folder
    return ""


class Systemd:
    """The running one; *folder* is its /srv, with the units in root/etc/systemd/system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)  # services are other users
        (folder / "targets").mkdir()
        for name in TARGETS:
            text = f"[Unit]\nDescription={name}\nDefaultDependencies=no\n"
            (folder / "targets" / f"{name}.target").write_text(text)
        self._cgroup = Path(cgroup_folder()) / f"mosn_mp-test-{os.getpid()}"
        self._cgroup.mkdir()
        seen = [path for path in (sys.base_prefix, sys.prefix, str(ROOT)) if path.startswith("/root/")]
        command = ["bash", "-c", SCRIPT, "bash", str(folder), str(self._cgroup), *seen]
        environment = {**os.environ, "SYSTEMD": BINARY}
        self._outer = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            self.pid = wait_until(self._find, "a systemd as process 1 of its namespace")
            wait_until(lambda: self.control("is-system-running").stdout.strip() in ("running", "degraded"), "its boot")
        except BaseException:
            self.end()
            raise

    def _find(self) -> int:
        """Its pid out here."""
        if self._outer.poll() is not None:
            assert self._outer.stderr is not None
            raise AssertionError(f"systemd did not start: {self._outer.stderr.read().decode()}")
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        return next((int(c) for c in children if Path(f"/proc/{c}/comm").read_text() == "systemd\n"), 0)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run *command* in its namespaces."""
        enter = ["nsenter", f"--target={self.pid}", "--all", "--", *command]
        return subprocess.run(enter, capture_output=True, text=True, timeout=50, check=False)

    def control(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run systemctl with *arguments*."""
        return self.run("systemctl", "--no-pager", *arguments)

    def show(self, unit: str, name: str) -> str:
        """Property *name* of *unit*."""
        return self.control("show", "--value", "-p", name, unit).stdout.strip()

    def end(self) -> None:
        """Kill it and all its processes with it."""
        self._outer.kill()  # --kill-child takes process 1 along, which takes the whole namespace
        self._outer.communicate()
        groups = sorted(self._cgroup.rglob("*/"), reverse=True) if self._cgroup.exists() else []
        wait_until(lambda: not (self._cgroup / "cgroup.procs").read_text(), "the end of its processes")
        for group in [*groups, self._cgroup]:
            if group.is_dir():
                wait_until(lambda group=group: _is_removed(group), f"{group} to be empty")


def _is_removed(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return False
    return True

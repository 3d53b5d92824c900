"""The unit files, as scripts/install-service installs them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.program import ROOT

MAX_EXPOSURE = 3.0


def install(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/install-service for *folder* as if it were /."""
    program = Path(sys.executable).parent / "mosn_mp"
    command = [ROOT / "scripts/install-service", "--root", folder, "--program", program, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The folder of the installed units."""
    done = install(tmp_path, "--socket", "--config", "/etc/my/proxy.json")
    assert done.returncode == 0, done.stderr
    return tmp_path / "etc/systemd/system"


def test_units_are_installed_with_the_paths_that_were_given(units: Path) -> None:
    text = (units / "mosn_mp.service").read_text()
    assert f"\nExecStart={Path(sys.executable).parent}/mosn_mp start -c /etc/my/proxy.json\n" in text
    assert (units / "mosn_mp.socket").exists()
    example = units.parents[2] / "etc/my/proxy.json"
    assert example.read_text() == (ROOT / "systemd/mosn_mp.json").read_text()


def test_what_the_user_may_have_edited_is_not_installed_again(units: Path) -> None:
    kept = [units / "mosn_mp.service.d/10-local.conf", units.parents[2] / "etc/my/proxy.json"]
    for path in kept:
        path.write_text("mine")
    (units / "mosn_mp.service").write_text("old")
    assert install(units.parents[2], "--config", "/etc/my/proxy.json").returncode == 0
    assert [path.read_text() for path in kept] == ["mine", "mine"]
    assert (units / "mosn_mp.service").read_text() != "old"


def test_a_systemd_that_knows_no_notify_reload_reloads_by_the_command(tmp_path: Path) -> None:
    unit = tmp_path / "etc/systemd/system/mosn_mp.service"
    assert install(tmp_path, "--systemd", "252", "--config", "/etc/my/proxy.json").returncode == 0
    assert re.findall(r"^(?:Type|ExecReload)=.*", unit.read_text(), re.M) == [
        "Type=notify", f"ExecReload={Path(sys.executable).parent}/mosn_mp reload -c /etc/my/proxy.json"
    ]  # fmt: skip
    assert install(tmp_path, "--systemd", "253").returncode == 0
    assert re.findall(r"^(?:Type|ExecReload)=.*", unit.read_text(), re.M) == ["Type=notify-reload"]


def test_without_the_option_no_socket_unit_is_installed(tmp_path: Path) -> None:
    assert install(tmp_path).returncode == 0
    assert not (tmp_path / "etc/systemd/system/mosn_mp.socket").exists()


def test_a_program_that_is_not_there_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = install(tmp_path, "--program", "/no/where/mosn_mp")
    assert done.returncode == 1
    assert done.stderr.startswith("There is no mosn_mp at /no/where/mosn_mp: install it")
    assert list(tmp_path.iterdir()) == []


def test_the_example_configuration_is_valid_and_is_what_the_socket_unit_listens_for() -> None:
    path = ROOT / "systemd/mosn_mp.json"
    command = [sys.executable, "-m", "mosn_mp", "check", "-c", path]
    assert subprocess.run(command, capture_output=True, cwd=ROOT, check=False).returncode == 0
    streams = re.findall(r"^ListenStream=(.*)", (ROOT / "systemd/mosn_mp.socket").read_text(), re.M)
    assert f'"processor": {len(streams)}' in path.read_text()
    assert f'"address": "{streams[0]}"' in path.read_text()



@pytest.mark.interop("systemd-analyze")
def test_systemd_finds_no_fault_in_the_units(units: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", units / "mosn_mp.service", units / "mosn_mp.socket"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.interop("systemd-analyze")
def test_systemd_takes_every_setting_that_the_drop_in_suggests(units: Path) -> None:
    drop_in = units / "mosn_mp.service.d/10-local.conf"
    settings = re.sub(r"^#([A-Z]\w+=)", r"\1", drop_in.read_text(), flags=re.M)
    drop_in.write_text(settings.replace("/usr/local/bin/mosn_mp", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", units / "mosn_mp.service"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.interop("systemd-analyze")
def test_the_exposure_of_the_service_is_low(units: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", units / "mosn_mp.service"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    sys.stdout.write(f"exposure {found[1]}\n")
    assert float(found[1]) <= MAX_EXPOSURE

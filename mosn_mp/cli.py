"""The command `mosn_mp`: start, stop, reload, host, status, check, version (MOSN's cmd/mosn/main/control.go).

Each command imports what it needs when it runs: `start` must not wait for what only `status` prints with.
"""

import os
import sys

import click

from mosn_mp.version import VERSION

LOG_LEVELS = ("trace", "debug", "info", "warning", "error", "critical", "off")
# MOSN's names on the command line -> its names in a config
_LEVEL_NAMES = {"warning": "WARN", "critical": "FATAL"}

config_option = click.option(
    "-c", "--config", "config_path", metavar="FILE", envvar="MOSN_CONFIG", default="configs/mosn_config.json", show_default=True,
    show_envvar=True, help="The configuration, JSON or YAML.",
)  # fmt: skip
user_option = click.option(
    "--user", "user", metavar="NAME[:GROUP]", default="",
    help="Run by root: whom controller and workers become. Needed where others than root can change the configuration.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, "-v", "--version", prog_name="mosn_mp", message="%(prog)s %(version)s")
def cli() -> None:
    """A multi-process prefork proxy with MOSN's configuration."""


@cli.command()
@config_option
@click.option(
    "-l", "--log-level", type=click.Choice(LOG_LEVELS, case_sensitive=False), envvar="LOG_LEVEL", show_envvar=True,
    help="Wins over the level in the configuration.",
)  # fmt: skip
@click.option(
    "-f", "--feature-gates", metavar="NAME=BOOL,...", envvar="FEATURE_GATES", show_envvar=True, default="",
    help="auto_config=true: changes made while it runs are written to the configuration file.",
)  # fmt: skip
@user_option
def start(config_path: str, log_level: str | None, feature_gates: str, user: str) -> None:
    """Serve in the foreground until SIGTERM (graceful) or SIGINT (now)."""
    from mosn_mp.master.main import GrantError, HandoverError, HotModuleError, import_data_plane, run_master

    level = _LEVEL_NAMES.get(log_level, log_level) if log_level else ""
    if feature_gates:
        from mosn_mp.config.decoding.features import ENVIRONMENT, parse_gates

        try:
            parse_gates(feature_gates)
        except ValueError as e:
            _fail(str(e))
        os.environ[ENVIRONMENT] = feature_gates  # where the controller finds it, and whatever this process becomes by exec
    try:
        sys.exit(run_master(config_path, level, user, import_data_plane))
    except (GrantError, HandoverError, HotModuleError) as e:
        _fail(str(e))


@cli.command()
@config_option
@click.option("--graceful", is_flag=True, help="Let requests in flight finish (SIGTERM); otherwise SIGINT, as MOSN does.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Seconds to wait for the end."
)
def stop(config_path: str, graceful: bool, timeout_s: float) -> None:
    """Stop the running program of this configuration and wait until it is gone."""
    from mosn_mp.config.problems import ConfigErrors
    from mosn_mp.master.control.stop import StopError, stop_master

    try:
        pid = stop_master(config_path, graceful, timeout_s)
    except (StopError, ConfigErrors) as e:
        _fail(str(e))
    else:
        click.echo(f"stopped: pid {pid}")


@cli.command()
@config_option
@json_option
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1), default=120.0, show_default=True, help="Seconds to wait for the answer."
)
def reload(config_path: str, as_json: bool, dry_run: bool, timeout_s: float) -> None:
    """Let the running program take this configuration, and say what changed (exit 0) or why it was refused (exit 1)."""
    from mosn_mp.config.problems import ConfigErrors
    from mosn_mp.master.control.client import AskError, ask_reload, reload_text, report_json

    try:
        report = ask_reload(config_path, dry_run, timeout_s)
    except (AskError, ConfigErrors) as e:
        _fail(str(e))
    else:
        click.echo(report_json(report) if as_json else reload_text(report), err=not as_json and not report.ok)
        sys.exit(0 if report.ok else 1)


@cli.command()
@click.argument("action", type=click.Choice(("show", "disable", "drain", "enable", "weight")))
@click.argument("cluster")
@click.argument("address")
@click.argument("weight", type=click.IntRange(1, 128), required=False)
@config_option
@json_option
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0), default=60.0, show_default=True,
    help="Seconds that `drain` and `weight` wait.",
)  # fmt: skip
def host(
    action: str, cluster: str, address: str, weight: int | None, config_path: str, as_json: bool, timeout_s: float
) -> None:
    """Take a host out of rotation (disable), wait until it has no request (drain), put it back (enable), give it another
    WEIGHT of 1 to 128 (weight), or look (show).

    Out of rotation lasts until `enable`, the host's removal from the configuration, or a restart of the program; a weight until
    the next reload.
    """
    from mosn_mp.config.problems import ConfigErrors
    from mosn_mp.master.control.client import AskError, ask_host, ask_weight, host_text, report_json, wait_drained

    if (action == "weight") != (weight is not None):
        raise click.UsageError("`host weight` takes a weight, and nothing else does: mosn_mp host weight CLUSTER ADDRESS WEIGHT")
    try:
        if weight is not None:
            report = ask_weight(config_path, cluster, address, weight, timeout_s)
        else:
            report = ask_host(config_path, "disable" if action == "drain" else action, cluster, address)
        if action == "drain":
            report = wait_drained(config_path, cluster, address, timeout_s)
    except (AskError, ConfigErrors) as e:
        _fail(str(e))
    else:
        click.echo(report_json(report) if as_json else host_text(report))
        sys.exit(1 if action == "drain" and report.active else 0)


@cli.command()
@config_option
@json_option
@click.option(
    "--program", metavar="FILE", type=click.Path(exists=True, dir_okay=False),
    help="The new program, for example bin/mosn_mp of another virtual environment; default: the one that was started.",
)
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1), default=120.0, show_default=True, help="Seconds to wait for the answer."
)  # fmt: skip
def upgrade(config_path: str, as_json: bool, program: str | None, timeout_s: float) -> None:
    """Replace the running program by the installed one without losing a connection (exit 0), or leave it as it is (exit 1)."""
    from mosn_mp.config.problems import ConfigErrors
    from mosn_mp.master.control.client import AskError, ask_upgrade, report_json, upgrade_text

    try:
        report = ask_upgrade(config_path, program or "", timeout_s)
    except (AskError, ConfigErrors) as e:
        _fail(str(e))
    else:
        click.echo(report_json(report) if as_json else upgrade_text(report), err=not as_json and not report.ok)
        sys.exit(0 if report.ok else 1)


@cli.command()
@config_option
@json_option
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds to wait for the answer."
)
def rebalance(config_path: str, as_json: bool, timeout_s: float) -> None:
    """Move live connections between workers until all have the same number."""
    from mosn_mp.config.problems import ConfigErrors
    from mosn_mp.master.control.client import AskError, ask_rebalance, rebalance_text, report_json

    try:
        report = ask_rebalance(config_path, timeout_s)
    except (AskError, ConfigErrors) as e:
        _fail(str(e))
    else:
        click.echo(report_json(report) if as_json else rebalance_text(report))


@cli.command()
@config_option
@json_option
def status(config_path: str, as_json: bool) -> None:
    """Show processes, listeners, connections, requests and memory of the running program."""
    from mosn_mp.config.problems import ConfigErrors
    from mosn_mp.master.control.client import AskError, ask_status, report_json, status_text

    try:
        report = ask_status(config_path)
    except (AskError, ConfigErrors) as e:
        _fail(str(e))
    else:
        click.echo(report_json(report) if as_json else status_text(report))


@cli.command()
@config_option
@json_option
@user_option
def check(config_path: str, as_json: bool, user: str) -> None:
    """Say what is wrong with a configuration (exit 1), or in one line what it would serve (exit 0).

    Run by root it imports users' Python as whom the program would become.
    """
    from mosn_mp.config.load import check as check_config
    from mosn_mp.config.summary import summary
    from mosn_mp.ipc.confinement import go_on_as
    from mosn_mp.master.border.grant import GrantError, reader_of

    try:
        reader = reader_of(config_path, user)
    except GrantError as e:
        _fail(str(e))
    report = check_config(config_path, enter=lambda _: go_on_as(reader) if reader is not None else None)
    served = summary(report.config) if report.config is not None else None
    if as_json:
        import json

        import msgspec

        found = {
            "ok": served is not None,
            "summary": msgspec.to_builtins(served),
            "errors": [problem.as_dict() for problem in report.errors],
            "warnings": [problem.as_dict() for problem in report.warnings],
        }
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for problem in report.errors:
            click.echo(str(problem), err=True)
        for problem in report.warnings:
            click.echo(f"warning: {problem}", err=True)
        click.echo(f"{config_path}: {served or f'{len(report.errors)} errors'}", err=served is None)
    sys.exit(0 if served is not None else 1)


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"mosn_mp {VERSION}")


def main() -> None:
    """The entry point; flags without a command mean `start`, as in MOSN."""
    arguments = sys.argv[1:]
    if arguments and arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "-v", "--version"):
        arguments = ["start", *arguments]
    cli.main(args=arguments, prog_name="mosn_mp")


def _fail(text: str) -> None:
    click.echo(text, err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()

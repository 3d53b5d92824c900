"""From a file to a Config: read, decode, fill in, check; everything that is wrong is reported at once."""

import os.path
from collections.abc import Callable

from msgspec import Struct

from mosn_mp.config.checks.crosscheck import cross_check
from mosn_mp.config.checks.trial import passes_trial
from mosn_mp.config.decoding.decode import Decoder
from mosn_mp.config.decoding.defaults import fill_defaults
from mosn_mp.config.model import Config
from mosn_mp.config.problems import ConfigErrors, Findings, Problem, parse_path
from mosn_mp.config.source.read import read_source
from mosn_mp.config.source.source import Source
from mosn_mp.errors import ConfigError
from mosn_mp.plugin import CATALOGUE, Catalogue
from mosn_mp.plugin.trial import Limits

Enter = Callable[[Config], None]

LIMITS = Limits()


class Report(Struct, frozen=True, kw_only=True):
    """What came of reading a file: a configuration, or errors; warnings in both cases."""

    config: Config | None
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    does_harm: bool = False  # users' Python does; another look would take as long


def load(file: str | os.PathLike[str], catalogue: Catalogue = CATALOGUE, enter: Enter | None = None) -> Config:
    """The configuration in *file*, complete and checked; ConfigErrors with all that is wrong with it otherwise."""
    report = check(file, catalogue, enter)
    if report.config is None:
        raise ConfigErrors(report.errors, report.warnings)
    return report.config


def check(
    file: str | os.PathLike[str], catalogue: Catalogue = CATALOGUE, enter: Enter | None = None, limits: Limits = LIMITS
) -> Report:
    """What load() would make of *file*, with its warnings and without raising.

    Stream filters are imported from where the file says, because only they know what their configuration may be. Before that
    *enter* is called with what the file says; its ConfigError counts as one of the file. *limits* are those of users' Python.
    """
    try:
        source = read_source(os.fspath(file))
    except ConfigErrors as e:
        return Report(config=None, errors=e.errors)
    findings = Findings()
    config = judge(source.value, os.fspath(file), findings, catalogue, enter, limits=limits)
    errors = _place(source, findings, "errors")
    warnings = _place(source, findings, "warnings")
    return Report(config=config, errors=errors, warnings=warnings, does_harm=findings.does_harm)


def judge(
    value: object,
    file: str,
    findings: Findings,
    catalogue: Catalogue = CATALOGUE,
    enter: Enter | None = None,
    served: Config | None = None,
    limits: Limits = LIMITS,
) -> Config | None:
    """The configuration that *value*, read from *file*, says; with an error in *findings* there is none.

    *served* was found right before, with the same Python of users: where *value* has the same objects, nothing is looked for.
    """
    config = None
    with findings.bounded():
        config = fill_defaults(Decoder(findings).decode_struct(Config, value, ()), file)
        if enter is None or _enters(enter, config, findings):
            runs_python = passes_trial(config, catalogue, findings, served, limits)
            cross_check(config, catalogue, findings, served, runs_python)
            _check_sources(catalogue, findings)
    return None if findings.errors else config


def _check_sources(catalogue: Catalogue, findings: Findings) -> None:
    try:
        catalogue.sources()
    except ConfigError as e:
        findings.error((), e.problem)


def _enters(enter: Enter, config: Config, findings: Findings) -> bool:
    try:
        enter(config)
    except ConfigError as e:
        findings.error(parse_path(e.path), e.problem)
        return False
    return True


def _place(source: Source, findings: Findings, which: str) -> tuple[Problem, ...]:
    found = [source.problem(finding) for finding in (findings.errors if which == "errors" else findings.warnings)]
    return tuple(sorted(found, key=lambda problem: (problem.line, problem.column)))

"""A configuration that has been read: plain values (dict, list, str, int, float, bool, None), and where each of them stands."""

from mosn_mp.config.problems import ConfigErrors, Finding, Path, Place, Problem, path_text

TWICE = "this key is given twice in one object"


class Source:
    """One file that has been read: `value` is what it says."""

    def __init__(self, file: str, value: object) -> None:
        self.file = file
        self.value = value

    def place(self, path: Path, at_key: bool) -> Place:
        """Where the value (or key) at *path* stands, or the nearest thing around it that the file has."""
        raise NotImplementedError

    def problem(self, finding: Finding) -> Problem:
        """*finding*, placed in this file."""
        line, column = self.place(finding.path, finding.at_key)
        return Problem(
            file=self.file,
            line=line,
            column=column,
            path=path_text(finding.path),
            value=finding.value,
            problem=finding.problem,
            suggestion=finding.suggestion,
        )


def problem_at(file: str, path: Path, place: Place, problem: str) -> Problem:
    """A problem that shows no value."""
    return Problem(file=file, line=place.line, column=place.column, path=path_text(path), value="", problem=problem)


def syntax_error(file: str, place: Place, problem: str) -> ConfigErrors:
    """The one problem of a file that cannot be read any further."""
    return ConfigErrors((problem_at(file, (), place, problem),))


def first_lower(text: str) -> str:
    """*text*, to go on behind a colon."""
    return text[:1].lower() + text[1:]

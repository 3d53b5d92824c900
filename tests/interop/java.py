"""Builds tests/interop/sofabolt with Maven, once for its sources, and runs its programs."""

import hashlib
import subprocess
from pathlib import Path
from types import TracebackType

import pytest

PROJECT = Path(__file__).parent / "sofabolt"
# What a short-lived JVM needs: no second compiler, one collector, the reflection that hessian 3 does on exceptions.
OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m -XX:+IgnoreUnrecognizedVMOptions"
OPENED = "--add-opens=java.base/java.lang=ALL-UNNAMED"
BUILD_DEADLINE_S = 300  # the first build fetches the libraries
MARK = "=> "


def build(folder: Path) -> str:
    """The class path of the project, built into *folder* if it is not there for these sources."""
    sources = sorted(path for path in PROJECT.rglob("*") if path.suffix in (".java", ".xml"))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    output = folder / digest[:16]
    class_path = output / "class_path"
    if not class_path.exists():
        found = output / "libraries"
        goals = ["compile", "dependency:build-classpath", f"-Dmdep.outputFile={found}"]
        command = ["mvn", "-B", "-q", "-f", str(PROJECT / "pom.xml"), f"-DoutputDirectory={output}", *goals]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_DEADLINE_S, check=False)
        assert "COMPILATION ERROR" not in done.stdout, done.stdout
        if done.returncode:
            pytest.skip(f"Maven cannot build the SOFABolt peers here: {done.stdout.strip()[:500]}")
        class_path.write_text(f"{output / 'classes'}:{found.read_text().strip()}")
    return class_path.read_text()


class Jvm:
    """A program of the project: a line in, a line out."""

    def __init__(self, class_path: str, main: str, home: Path, **properties: object) -> None:
        settings = [f"-D{name.replace('_', '.')}={value}" for name, value in {"user.home": home, **properties}.items()]
        command = ["java", *OPTIONS.split(), OPENED, *settings, "-cp", class_path, f"interop.{main}"]
        with (home / f"{main}.err").open("w") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        self.first = self.read()

    def read(self) -> str:
        """The next line that is meant for us; libraries print too."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(MARK):
                return line.removeprefix(MARK).rstrip("\n")
        raise AssertionError("the JVM has ended")

    def say(self, *words: str) -> str:
        """The answer to a line of *words*."""
        assert self.process.stdin is not None
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        return self.read()

    def __enter__(self) -> "Jvm":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

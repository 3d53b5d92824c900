"""What the fuzzers of codecs share: their command, their compiled half, made when they run, and the memory of this process."""

import argparse
import importlib.util
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from Cython.Build import cythonize
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

for place in (ROOT, ROOT / "scripts/build_hooks"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from hot_modules import DIRECTIVES, FLAGS, MACROS  # noqa: E402


def compiled(name: str, folder: Path) -> ModuleType:
    """tests/fuzz/*name*.py as an extension module, built into *folder* with the mutator.py that it is based on."""
    flags = [*FLAGS, "-w", "-O0"]  # optimised it runs no faster, and takes the compiler twice the time
    sources = {module: [str(HERE / f"{module}.py")] for module in ("mutator", name)}
    modules = cythonize(
        [Extension(module, paths, define_macros=MACROS, extra_compile_args=flags) for module, paths in sources.items()],
        compiler_directives=DIRECTIVES,
        build_dir=str(folder / "c"),
        include_path=[str(ROOT), str(HERE)],
        quiet=True,
        force=True,
    )
    command = build_ext(Distribution({"name": "fuzz", "ext_modules": modules}))
    command.build_lib = command.build_temp = str(folder)
    command.ensure_finalized()
    command.run()
    for module in sources:
        sys.modules[module] = loaded(module, folder)
    return sys.modules[name]


def loaded(name: str, folder: Path) -> ModuleType:
    """The extension module *name* in *folder*."""
    (built,) = folder.glob(f"{name}.*.so")
    spec = importlib.util.spec_from_file_location(name, built)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_command(what: str, fuzz: Callable[[int, int], list[str]]) -> None:
    """The command that does *what*: `--inputs` and `--seed` for *fuzz*, whose report it prints behind the seed."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    sys.stdout.flush()
    sys.stdout.write("\n".join(fuzz(options.inputs, options.seed)) + "\n")


def resident_kib() -> int:
    """Memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0

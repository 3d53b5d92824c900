"""The PEP 517 backend of `pip install .`: setuptools' own, told of the hot modules.

pyproject.toml can name a command class but not computed ext_modules, and without those setuptools would skip build_ext and call
the wheel pure; run_setup is the one place where setuptools lets an in-tree backend add them.
"""

import sys

from hot_modules import BuildHot, SourcesWithHooks, extensions
from setuptools import build_meta, setup


class HotBackend(build_meta._BuildMetaBackend):
    """setuptools' backend with the hot modules as ext_modules."""

    def run_setup(self, setup_script: str = "setup.py") -> None:
        """Run setuptools' commands (already in sys.argv) on this project."""
        sys.argv = [setup_script, *sys.argv[1:]]
        setup(ext_modules=extensions(), cmdclass={"build_ext": BuildHot, "sdist": SourcesWithHooks})


_backend = HotBackend()
build_wheel = _backend.build_wheel
build_sdist = _backend.build_sdist
build_editable = _backend.build_editable
get_requires_for_build_wheel = _backend.get_requires_for_build_wheel
get_requires_for_build_sdist = _backend.get_requires_for_build_sdist
get_requires_for_build_editable = _backend.get_requires_for_build_editable
prepare_metadata_for_build_wheel = _backend.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = _backend.prepare_metadata_for_build_editable

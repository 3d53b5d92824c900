"""Runs mypy --strict on the uncompiled modules: setup.cfg's settings and one section that leaves the hot modules out.

Which modules are hot is decided by the tree (a .py with a .pxd beside it), so the section is computed, never kept by hand. mypy
does not know Cython's C types and the fields that a .pxd declares; seen from uncompiled modules a hot one has the type Any.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def hot_modules() -> list[str]:
    """Dotted names of the hot modules."""
    found = [p.relative_to(ROOT).with_suffix("") for p in (ROOT / "mosn_mp").rglob("*.py") if p.with_suffix(".pxd").exists()]
    return sorted(".".join(p.parts) for p in found)


def main() -> int:
    """mypy's exit code."""
    config = (ROOT / "setup.cfg").read_text()
    hot = hot_modules()
    if hot:
        config += f"\n[mypy-{','.join(hot)}]\nfollow_imports = skip\nfollow_imports_for_stubs = True\n"
    written = ROOT / "build/mypy.cfg"
    written.parent.mkdir(exist_ok=True)
    written.write_text(config)
    excluded = "|".join(m.replace(".", "/") + r"\.py" for m in hot)
    command = [sys.executable, "-m", "mypy", "--config-file", str(written), *sys.argv[1:]]
    return subprocess.run([*command, "--exclude", f"^({excluded})$"] if hot else command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())

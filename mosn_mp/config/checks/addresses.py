"""The check of one address."""

from mosn_mp.config.decoding.address import parse_address
from mosn_mp.config.problems import Findings, Path, show


def check_address(text: str, path: Path, findings: Findings) -> str:
    """The canonical form of the address *text*; "" where there is none or it is wrong."""
    try:
        return str(parse_address(text)) if text else ""
    except ValueError as e:
        findings.error(path, f"{show(text)}: {e}", value=text)
        return ""

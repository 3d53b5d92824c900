"""What /proc says about our processes (proc(5))."""


def pss_bytes(pid: int) -> int:
    """The proportional set size of *pid*: its own memory plus its share of what it shares; 0 if it cannot be read."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return 0
    return 0

"""`python fake_start.py CONFIG`: `mosn_mp start` with the fake data plane."""

import os
import sys

from mosn_mp.master.supervisor import Master
from mosn_mp.worker.boot import PlaneFactory


def import_plane() -> PlaneFactory:
    from fake_plane import FakePlane

    return FakePlane


if __name__ == "__main__":
    sys.exit(Master(sys.argv[1], os.environ.get("LOG_LEVEL", ""), import_plane).run())

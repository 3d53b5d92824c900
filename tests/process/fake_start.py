"""`python fake_start.py CONFIG`: `mosn_mp start` with the fake data plane."""

import os
import sys

from fake_plane import FakePlane

from mosn_mp.master.launch import launch_controller
from mosn_mp.master.supervisor import Master

if __name__ == "__main__":
    config, level = sys.argv[1], os.environ.get("LOG_LEVEL", "")
    sys.exit(Master(config, level, launch_controller(config, level)).run(FakePlane))

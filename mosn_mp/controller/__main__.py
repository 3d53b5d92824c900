"""`python -m mosn_mp.controller`: how the master starts a controller."""

import sys

from mosn_mp.controller.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

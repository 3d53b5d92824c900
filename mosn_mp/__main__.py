"""`python -m mosn_mp` is the command `mosn_mp`."""

from mosn_mp.cli import main

main()

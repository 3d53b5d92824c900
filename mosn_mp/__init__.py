"""mosn_mp: MOSN as a multi-process prefork proxy; ARCHITECTURE.md tells how its floors fit together."""

"""Floor 2: MOSN's configuration as a frozen model, decoded strictly, with the place of every error.

* `load`: load(file) -> Config, check(file) -> Report: the only way from a file to a configuration
* `model`: Config and everything in it
* `snapshot`: encode() and decode(), the form that travels to the workers
* `stream_filters`: bind() turns an entry of a snapshot into the filter's class and its own configuration
* `diff`, `summary`, `cpus`, `address`: questions about a configuration

Nothing is re-exported here: processes that only read snapshots need not import what reads files.
"""

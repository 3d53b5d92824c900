"""Floor 2: MOSN's configuration as a frozen model, decoded strictly, with the place of every error.

* `load`: load(file) -> Config, check(file) -> Report: the only way from a file to a configuration
* `model`: Config and everything in it
* `snapshot`: encode() and decode(), the form that travels to the workers
* `diff`, `summary`, `cpus`, `identity`: questions about a configuration

and what load() goes through, a room each:

* `source`: a file as plain values, each with its place
* `decoding`: plain values into the model, strictly
* `checks`: what must hold beyond types; checks.stream_filters.bind() turns an entry of a snapshot into the filter's class and its
  own configuration

Nothing is re-exported here: processes that only read snapshots need not import what reads files.
"""

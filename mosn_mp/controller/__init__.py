"""Floor 7: the deciding process - loads config, serves admin and metrics."""

"""A new version comes into service: reload, two-phase commit over the workers, changes by the admin API."""

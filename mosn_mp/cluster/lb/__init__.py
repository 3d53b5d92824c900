"""Load balancers, one module each."""

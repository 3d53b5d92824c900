"""Floor 7: the admin HTTP API and Prometheus text, served inside the controller."""

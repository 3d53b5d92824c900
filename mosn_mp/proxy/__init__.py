"""Floor 6: what happens to a connection and to a request; Stream.run() tells it in order.

`moving` is how live connections go to another process."""

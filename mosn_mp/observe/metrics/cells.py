"""What every cell of a counter row is: its key in MOSN's naming, its kind and its meaning, in the order of metrics.pxd.

Sources: MOSN pkg/metrics/downstream.go and upstream.go for the keys; the limits' own counters follow Envoy's
(http1.*, downstream_rq_*timeout) in meaning.
"""

import zlib
from typing import Literal, NamedTuple

CellKind = Literal["counter", "gauge", "histogram"]

# Upper bounds in microseconds, inclusive (`le`); the last bucket of a histogram is +Inf. 1-2.5-5 from 50 us, where a local hop
# lies, to 60 s, MOSN's longest default timeout. Neighbours differ by a factor of 2 at least: observe() relies on it.
BOUNDS_US: tuple[int, ...] = (
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
)  # fmt: skip
HISTOGRAM_CELLS = 24
HISTOGRAM_SUM = len(BOUNDS_US) + 1


class Cell(NamedTuple):
    """One counter or gauge, or the first cell of one histogram."""

    at: int  # offset in its block
    constant: str  # its name in metrics.pxd
    key: str  # MOSN's key; the text name is <type>_<key>
    kind: CellKind
    help: str


class Block(NamedTuple):
    """The cells of one thing that is counted."""

    type: str  # MOSN's metric type
    size: int  # cells, a multiple of 8 so that no two blocks share a cache line
    cells: tuple[Cell, ...]

    def cell(self, key: str) -> Cell:
        """The cell of MOSN's *key*; KeyError if there is none."""
        for cell in self.cells:
            if cell.key == key:
                return cell
        raise KeyError(f"{self.type} has no key {key!r}")

    def gauges(self) -> list[int]:
        """Offsets of the cells that say how much there is now, and mean nothing once the process is dead."""
        return [cell.at for cell in self.cells if cell.kind == "gauge"]


def _block(type_: str, prefix: str, size: int, histograms_at: int, rows: list[tuple[str, CellKind, str]]) -> Block:
    cells = []
    at = 0
    for key, kind, text in rows:
        constant = prefix + key.upper()
        if key.startswith("request_") and key[8:11].isdigit():
            constant = constant.removesuffix("_TOTAL")
        if kind == "histogram":
            at = max(at, histograms_at)
        cells.append(Cell(at, constant, key, kind, text))
        at += HISTOGRAM_CELLS if kind == "histogram" else 1
    return Block(type_, size, tuple(cells))


_CODES: tuple[int, ...] = (206, 302, 304, 400, 403, 404, 416, 499, 500, 502, 503, 504)

DOWNSTREAM = _block(
    "downstream",
    "D_",
    96,
    48,
    [
        ("request_total", "counter", "Requests begun."),
        ("request_active", "gauge", "Requests under way."),
        ("bytes_read_total", "counter", "Bytes read from clients."),
        ("bytes_write_total", "counter", "Bytes written to clients."),
        ("request_200_total", "counter", "Responses of status 200."),
        ("connection_parked", "gauge", "Connections without work: no greenlet and no buffer."),
        ("connection_active", "gauge", "Open connections."),
        ("connection_total", "counter", "Connections accepted."),
        ("connection_destroy", "counter", "Connections closed."),
        ("request_reset", "counter", "Requests that the client broke off."),
        ("request_failed", "counter", "Requests answered by the proxy itself because something failed."),
        *((f"request_{code}_total", "counter", f"Responses of status {code}.") for code in _CODES),
        ("request_other_code", "counter", "Responses of any other status."),
        ("limit_header_size", "counter", "Requests refused: head too large (431)."),
        ("limit_header_count", "counter", "Requests refused: too many header fields (431)."),
        ("limit_uri_size", "counter", "Requests refused: request target too long (414)."),
        ("limit_body_size", "counter", "Requests refused: body too large (413)."),
        ("timeout_header", "counter", "Connections closed: the request head took too long (408)."),
        ("timeout_body", "counter", "Requests failed: the client paused too long in the body, or sent it too slowly (408)."),
        ("timeout_idle", "counter", "Connections closed: idle for too long."),
        ("timeout_write", "counter", "Connections closed: the client did not read, or too slowly."),
        ("limit_connections", "counter", "Connections refused: the listener or the server has too many."),
        ("limit_requests_per_connection", "counter", "Connections closed: they carried their share of requests."),
        ("protocol_error", "counter", "Connections closed: the client broke the rules of the protocol (400)."),
        ("arena_exhausted", "counter", "Times a connection had to wait for a buffer."),
        ("filter_error", "counter", "Requests failed by an exception in a filter (500)."),
        ("access_log_dropped", "counter", "Access-log lines dropped because the log could not be written in time."),
        ("tunnels_active", "gauge", "Open tunnels (Upgrade, CONNECT)."),
        ("limit_in_flight", "counter", "Times a client was not read from: too much of it was under way (RPC)."),
        ("limit_unread", "counter", "Answers replaced by an error: too much waited for a client that read too slowly (RPC)."),
        ("timeout_goaway", "counter", "Connections closed: the client was told to go (GOAWAY) and did not (RPC)."),
        ("limit_unfinished", "counter", "Connections closed: memory ran short, and their request was unfinished for longest."),
        ("request_time", "histogram", "Time from a request's first byte to its response's last."),
        ("process_time", "histogram", "Time of a request that was spent in the proxy itself."),
    ],
)

UPSTREAM = _block(
    "upstream",
    "U_",
    80,
    32,
    [
        ("request_total", "counter", "Requests sent to the host, retries included."),
        ("request_active", "gauge", "Requests under way at the host."),
        ("connection_bytes_read_total", "counter", "Bytes read from the host."),
        ("connection_bytes_write", "counter", "Bytes written to the host."),
        ("response_success", "counter", "Responses below status 500."),
        ("response_failed", "counter", "Requests without a response, or with one of status 500 and above."),
        ("connection_idle", "gauge", "Pooled connections that wait for a request."),
        ("connection_active", "gauge", "Open connections."),
        ("connection_total", "counter", "Connections established."),
        ("connection_close", "counter", "Connections closed."),
        ("connection_con_fail", "counter", "Connects that failed."),
        ("connection_connect_timeout", "counter", "Connects that took too long."),
        ("connection_local_close", "counter", "Connections closed by the proxy."),
        ("connection_remote_close", "counter", "Connections closed by the host."),
        ("connection_local_close_with_active_request", "counter", "Connections closed by the proxy during a request."),
        ("connection_remote_close_with_active_request", "counter", "Connections closed by the host during a request."),
        ("connection_close_notify", "counter", "Connections that the host announced to close."),
        ("connection_overflow", "counter", "Connects refused: max_connections reached."),
        ("request_local_reset", "counter", "Requests broken off by the proxy."),
        ("request_remote_reset", "counter", "Requests broken off by the host."),
        ("request_timeout", "counter", "Requests that took longer than their route allows."),
        ("request_pending_overflow", "counter", "Requests refused because a limit of the cluster was reached (503)."),
        ("request_retry", "counter", "Requests sent once more."),
        ("request_duration_time", "histogram", "Time from a request's last byte sent to its response's last byte read."),
        ("connect_time", "histogram", "Time to establish a connection."),
    ],
)

WORKER = _block(
    "worker",
    "W_",
    32,
    32,
    [
        ("pid", "gauge", "Process id; 0: the slot is empty."),
        ("started_at", "gauge", "When the process started, seconds since 1970."),
        ("heartbeat_at", "gauge", "When its loop last turned, monotonic milliseconds."),
        ("config_version", "gauge", "Version of the configuration it serves."),
        ("loops", "counter", "Turns of its event loop."),
        ("events", "counter", "Events it was woken for."),
        ("accepted", "counter", "Connections it accepted."),
        ("accept_errors", "counter", "Accepts that failed (descriptors or memory used up)."),
        ("connections", "gauge", "Open connections of clients."),
        ("greenlets", "gauge", "Serving greenlets."),
        ("greenlets_idle", "gauge", "Serving greenlets that wait for a connection."),
        ("arena_bytes", "gauge", "Bytes of arena blocks in use."),
        ("arena_exhausted", "counter", "Times the arena had no block."),
        ("arena_misused", "counter", "Buffers dropped once too often: a bug."),
        ("log_dropped", "counter", "Log lines dropped."),
        ("exceptions", "counter", "Exceptions that ended a greenlet: a bug."),
        ("fd_limit", "gauge", "Descriptors it may open."),
        ("fd_used", "gauge", "Descriptors it has open."),
        ("fd_reserved", "gauge", "Descriptors kept free: for hosts of clients without one, for logs, reloads, channels."),
        ("accept_paused", "gauge", "1: clients wait in the queue until descriptors are given back."),
        ("accept_pauses", "counter", "Times it stopped to accept because descriptors were short."),
        ("connect_waits", "counter", "Connects to hosts that waited for a descriptor."),
        ("spare_closed", "counter", "Idle connections closed because others wanted their descriptors."),
        ("shortages", "counter", "System calls that failed because the kernel had no descriptor or memory."),
        ("unfinished_bytes", "gauge", "Bytes of requests that wait for their rest (servers[0].unfinished_size)."),
    ],
)

BLOCKS: dict[str, Block] = {block.type: block for block in (DOWNSTREAM, UPSTREAM, WORKER)}


def layout_number() -> int:
    """A number that changes whenever a cell is added, moved or renamed, or a bucket bound changes."""
    rows = [(block.type, block.size, [(cell.key, cell.at, cell.kind) for cell in block.cells]) for block in BLOCKS.values()]
    return zlib.crc32(repr((rows, BOUNDS_US)).encode())

"""The descriptors of one worker, as a budget: a client is accepted only if the connection to a host can be had for it as well.

    limit      | what is open | what clients may yet want: a host's connection each | reserve: logs, configurations, channels |

What does not fit is not accepted: it waits in the listening socket's queue until descriptors are given back. What is open counts,
also what filters open, which nobody tells us of: the kernel always gives the lowest free number, so a new descriptor's number
says how many there are at least (Reactor.register: one comparison), and once a second they are counted.

When there are none to spare, in this order:
1. idle connections to hosts are closed, and the connections of clients end with the response at hand;
2. clients wait in the queue; a stream that wants a host's connection all the same waits for a descriptor, before they do;
3. clients that have been idle for a while are closed, if others wait.

One piece: each rule above takes from what the others leave.

Sources: HAProxy's maxconn from ulimit-n (two descriptors a connection); nginx ngx_drain_connections for 3; Envoy's overload
action disable_http_keepalive for 1.
"""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.mosn_mp.net.connection.connection import S_PARKED, Connection, Keeper
from cython.cimports.mosn_mp.net.reactor.reactor import Pollable, Reactor, Task
from cython.cimports.mosn_mp.net.reactor.wheel import Timed
from cython.cimports.mosn_mp.observe.access_log.posix import POLLIN, POLLNVAL, poll, pollfd
from cython.cimports.mosn_mp.observe.metrics.metrics import (
    W_ACCEPT_PAUSED,
    W_ACCEPT_PAUSES,
    W_CONNECT_WAITS,
    W_CONNECTIONS,
    W_FD_LIMIT,
    W_FD_RESERVED,
    W_FD_USED,
    W_SHORTAGES,
    W_SPARE_CLOSED,
    Metrics,
)

from mosn_mp.errors import ConfigError

# A reload in a worker that is full: two memfds, a channel, a log or two opened anew; and what a filter opens between two counts.
LEAST_RESERVE = cython.declare(cython.int, 32)
RESERVE_PART = cython.declare(cython.int, 64)  # of the limit, beside that
MOST_RESERVE = cython.declare(cython.int, 1024)
# Each listening socket comes twice: as the master gave it and as it is accepted from. As many again may be lent.
PER_SOCKET = cython.declare(cython.int, 2)
# A limit that leaves less than this many clients at a time is somebody's mistake.
LEAST_CLIENTS = cython.declare(cython.int, 8)
# Pipes only save copies: they may take this part of the limit.
PIPE_PART = cython.declare(cython.int, 16)
# Idle connections to hosts closed at a time; each of them is one that somebody wants at once, or soon.
SHED_HOSTS = cython.declare(cython.int, 16)
# Idle clients closed at a time; as many are accepted in one go (listener.py).
SHED_CLIENTS = cython.declare(cython.int, 64)
# While somebody waits: count again, look for idle clients, try.
LOOK_MS = cython.declare(uint64_t, 100)
PROBED = cython.declare(cython.int, 64)  # descriptors asked about in one poll(2)


class Taker(Pollable):
    """Something that takes descriptors without end, but while there are none."""


class Descriptors(Timed):
    """`Descriptors(reactor, metrics, slot)`: what the worker of *slot* has to spend."""

    def __init__(self, reactor: Reactor, metrics: Metrics, slot: int) -> None:
        self.reactor = reactor
        self.cells = metrics.cells(slot)
        self.pools = []
        self.services = []
        self.paused = []
        self.waiting = []
        reactor.on_given_back = self.share_out
        reactor.shortages = self.cells + W_SHORTAGES
        self.look(reactor.table_size)

    # -- what is known -------------------------------------------------------------------------------------------------------

    def serve(self, services: list[Keeper]) -> None:
        """From now on clients' connections are kept by *services*."""
        self.services = list(services)
        self._press(self.pressed > 0)

    def add_pool(self, pool: Keeper) -> cython.void:
        """*pool* keeps connections to hosts too."""
        self.pools.append(pool)
        if self.waiting:
            pool.press(True)

    def check(self, sockets: int) -> None:
        """ConfigError if the limit leaves no room for clients beside *sockets* listening sockets."""
        needed: int = self._reserve_for(sockets) + self.reactor.others + PER_SOCKET * (sockets + LEAST_CLIENTS)
        if needed > self.limit:
            raise ConfigError("", f"a worker may open {self.limit} descriptors and needs {needed}: raise LimitNOFILE (ulimit -n)")

    def keep_free(self, sockets: int) -> None:
        """Reserve what a worker with *sockets* listening sockets may need."""
        self.reserve = self._reserve_for(sockets)
        self.most = self.limit - self.reserve
        self._publish()

    def _reserve_for(self, sockets: int) -> int:
        return LEAST_RESERVE + min(self.limit // RESERVE_PART, MOST_RESERVE) + PER_SOCKET * sockets

    def look(self, limit: int) -> None:
        """Count what is open, and write the counts down; *limit* is RLIMIT_NOFILE now. To be called once a second."""
        self.count_others()
        self.limit = min(limit, self.reactor.table_size)
        self.most = self.limit - self.reserve
        self._publish()

    def _publish(self) -> cython.void:
        self.cells[W_FD_LIMIT] = self.limit
        self.cells[W_FD_USED] = self.used()
        self.cells[W_FD_RESERVED] = self.reserve + self.owed()

    def count_others(self) -> cython.int:
        """Find out how many descriptors are open that the reactor does not know."""
        probed: pollfd[64]
        count: cython.int
        i: cython.int
        found: cython.int
        others: cython.int = 0
        highest: cython.int = 0
        at: cython.int = 0
        reactor: Reactor = self.reactor
        while at < reactor.table_size:
            count = found = 0
            while at < reactor.table_size and count < PROBED:
                if reactor.table[at] == cython.NULL:
                    probed[count].fd = at
                    probed[count].events = 0
                    count += 1
                else:
                    highest = at
                at += 1
            if poll(probed, count, 0) < 0:
                return 0  # what was known before is as good as anything
            for i in range(count):
                if not probed[i].revents & POLLNVAL:
                    found += 1
                    highest = max(highest, probed[i].fd)
            others += found
            if found == 0 and at > reactor.highest:
                break
        reactor.others = others
        reactor.highest = highest
        return 0

    def used(self) -> cython.int:
        """How many are open."""
        return self.reactor.registered + self.reactor.others

    def owed(self) -> cython.int:
        """How many the clients may yet want for hosts."""
        total: cython.int = 0
        for keepers in (self.services, self.pools):
            for item in keepers:
                total += cython.cast(Keeper, item).owed()
        return max(total, 0)

    # -- may one more be had? ------------------------------------------------------------------------------------------------

    def may_accept(self) -> cython.bint:
        """Is there one for another client, and one for its host?"""
        clients: cython.int = cython.cast(cython.int, self.cells[W_CONNECTIONS])
        # Were every client without a host's connection: if there is room even then, nobody has to look closer.
        return self.reactor.registered + self.reactor.others + clients + 2 <= self.most or self._find_room()

    def _find_room(self) -> cython.bint:
        spare: cython.int = 0
        for item in self.pools:
            spare += cython.cast(Keeper, item).spare()
        if self.waiting or self.used() - spare + self.owed() + 2 > self.most:
            return False
        return self.used() < self.most or self._close_spare()

    def _close_spare(self) -> cython.bint:
        """Close idle connections to the host that has most of them; False: there are none."""
        best: Keeper = None
        count: cython.int
        most: cython.int = 0
        for item in self.pools:
            count = cython.cast(Keeper, item).spare()
            if count > most:
                most = count
                best = cython.cast(Keeper, item)
        if best is None:
            return False
        self.cells[W_SPARE_CLOSED] += best.shed(min(SHED_HOSTS, most))
        return True

    def may_take_pipe(self, made: cython.int) -> cython.bint:
        """Are there two that nobody else may want, when *made* pipes are open?"""
        clients: cython.int = cython.cast(cython.int, self.cells[W_CONNECTIONS])
        return self.used() + clients + 4 <= self.most and 2 * (made + 1) <= self.limit // PIPE_PART

    def may_connect(self) -> cython.bint:
        """Streams may have half of the reserve as well: so they end, and give back what they have."""
        return self.used() < self.limit - self.reserve // 2

    def wait_one(self, task: Task, deadline_ms: uint64_t, failed: cython.bint) -> cython.bint:
        """Have one for the connection that *task* wants to a host; waits in its greenlet, False: until *deadline_ms* in vain.

        *failed*: the kernel has just said that there is none, so wait in any case.
        """
        if not failed and (self.used() < self.most or self._close_spare() or self.may_connect()):
            return True
        self.cells[W_CONNECT_WAITS] += 1
        task.expired = False
        self.reactor.wheel.arm(task, deadline_ms)
        while not task.expired:
            self.waiting.append(task)
            self._press_pools(True)
            self._want()
            self.reactor.sleep(task)
            if task in self.waiting:
                self.waiting.remove(task)
            if self.may_connect():
                break
        self.reactor.wheel.arm(task, 0)
        self._press_pools(len(self.waiting) > 0)
        return not task.expired

    # -- when there are none -------------------------------------------------------------------------------------------------

    def pause(self, taker: Taker) -> cython.int:
        """*taker* stops; it is served again when there may be room."""
        if not taker.paused:
            taker.paused = True
            self.paused.append(taker)
        if not taker.pressed:
            taker.pressed = True
            self.pressed += 1
            if self.pressed == 1:
                self.cells[W_ACCEPT_PAUSED] = 1
                self.cells[W_ACCEPT_PAUSES] += 1
                self._publish()
                self._press(True)
        return self._want()

    def at_end(self, taker: Taker) -> cython.void:
        """Nothing waits in the queue of *taker* any more, or it is gone."""
        if taker.paused:
            taker.paused = False
            self.paused.remove(taker)
        if taker.pressed:
            taker.pressed = False
            self.pressed -= 1
            if self.pressed == 0:
                self.cells[W_ACCEPT_PAUSED] = 0
                self._press(False)

    def _press(self, is_pressed: cython.bint) -> cython.void:
        for item in self.services:
            cython.cast(Keeper, item).press(is_pressed)

    def _press_pools(self, is_pressed: cython.bint) -> cython.void:
        for item in self.pools:
            cython.cast(Keeper, item).press(is_pressed)

    def _want(self) -> cython.int:
        self.reactor.wanted = True
        if self.deadline_ms == 0:
            self.reactor.arm(self, LOOK_MS)
        return 0

    def share_out(self) -> cython.int:
        """Descriptors were given back: to streams first, then to those that accept."""
        taker: Taker
        self.reactor.giving_back = False
        room: cython.int = self.limit - self.reserve // 2 - self.used()
        while room > 0 and self.waiting:
            self.reactor.wake_soon(self.waiting.pop(0))
            room -= 1
        if self.paused and not self.waiting and self.may_accept():
            paused: list = self.paused
            self.paused = []
            for item in paused:
                taker = cython.cast(Taker, item)
                taker.paused = False
                self.reactor.serve_again(taker)
        self.reactor.wanted = len(self.paused) + len(self.waiting) > 0
        return 0

    def on_timer(self) -> cython.int:
        """Somebody has waited for a while: perhaps a filter gave back what we do not hear of, or clients are idle."""
        self.count_others()
        if self.waiting or self._is_queued():
            self._close_idle()
        self.share_out()
        self._publish()
        if self.reactor.wanted:
            self.reactor.arm(self, LOOK_MS)
        return 0

    def _close_idle(self) -> cython.int:
        """Close clients that idle, all in turn."""
        looked: cython.int
        closed: cython.int = 0
        connection: Connection
        reactor: Reactor = self.reactor
        for looked in range(reactor.highest + 1):
            if closed == SHED_CLIENTS:
                break
            self.looked_at = self.looked_at + 1 if self.looked_at < reactor.highest else 0
            if reactor.table[self.looked_at] == cython.NULL:
                continue
            found = cython.cast(object, reactor.table[self.looked_at])
            if isinstance(found, Connection):
                connection = cython.cast(Connection, found)
                if connection.state == S_PARKED and connection.keeper.is_idle(connection):
                    connection.close()
                    closed += 1
        self.cells[W_SPARE_CLOSED] += closed
        return 0

    def _is_queued(self) -> cython.bint:
        """Does anybody wait to be accepted?"""
        probed: pollfd
        for item in self.paused:
            probed.fd = cython.cast(Taker, item).fd
            probed.events = POLLIN
            probed.revents = 0
            if poll(cython.address(probed), 1, 0) > 0:
                return True
        return False

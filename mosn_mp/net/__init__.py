"""Floor 5: everything that holds a socket.

A room imports from those above it in this list only:

* `reactor`: one epoll set, its greenlets, the timer wheel, and the order in which buffers are given out
* `connection`: one connection: accepted, read, written, spliced, moved
* `multiplex`: connections that carry messages of many streams
* `pool`: the connections to one host

`libc.pxd` has the C names of the kernel that all of them use.
"""

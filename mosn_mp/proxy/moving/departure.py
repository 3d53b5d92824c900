"""A connection on its way into another process, as the process that gives it sees it."""

import os


class Departure:
    """`frame` and `fds` go to the receiver; then exactly one of taken() and kept() is called, by any greenlet."""

    def taken(self) -> None:
        """The receiver has it: let go without a word to the client."""
        raise NotImplementedError

    def kept(self) -> None:
        """It goes on here as if nothing had been."""
        raise NotImplementedError

    def close_own(self) -> None:
        """Close the descriptors that were made for the receiver alone."""
        for fd in self.own_fds or ():
            os.close(fd)
        self.own_fds = None

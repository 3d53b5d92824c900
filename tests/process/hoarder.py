"""A stream filter that opens files and keeps them, as users' own filters may: `/hoard/10` has ten more, `/release` none."""

import os
from typing import ClassVar

from mosn_mp.filter.stream_filter import STOP, StreamFilter, Verdict
from mosn_mp.filter.stream_view import StreamView


class Hoarder(StreamFilter):
    """Keeps what it opens beyond its own end: it is the process that has the descriptors."""

    kept: ClassVar[list[int]] = []

    def on_request(self, stream: StreamView) -> Verdict | None:
        _, what, *rest = stream.request.path.decode().split("/")
        if what == "hoard":
            self.kept.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(int(rest[0])))
        elif what == "release":
            while self.kept:
                os.close(self.kept.pop())
        else:
            return None
        stream.reply(200, b"%d" % len(self.kept))
        return STOP

"""The limits of a bolt codec, one object per listener or cluster, shared by its connections."""

# A head has to lie in one block of the arena (64 KiB) with room to spare.
MAX_HEAD = 61440
# Lengths are signed 32-bit numbers in Java; what is larger than this would not be a frame to SOFABolt.
MAX_FRAME = 0x7FFFFFFF


class BoltLimits:
    """What one side of a connection may send; ValueError for a limit that no frame could be held to.

    max_frame bounds a whole frame (MOSN has no such limit, SOFABolt takes 2 GiB): 8 MiB is what gRPC and Dubbo (4 and 8 MiB) take
    for safe. max_head_bytes bounds fixed part, class and header block together. goaway: MOSN's enable_bolt_goaway; off, because a
    SOFABolt peer closes its connection on a GOAWAY.
    """

    def __init__(
        self, max_frame: int = 8 << 20, max_head_bytes: int = MAX_HEAD, max_fields: int = 100, goaway: bool = False
    ) -> None:
        if not 64 <= max_frame <= MAX_FRAME:
            raise ValueError(f"max_frame is 64 to {MAX_FRAME} bytes, not {max_frame}")
        if not 64 <= max_head_bytes <= MAX_HEAD:
            raise ValueError(f"max_head_bytes is 64 to {MAX_HEAD}, not {max_head_bytes}")
        if not 0 <= max_fields <= 1024:
            raise ValueError(f"max_fields is 0 to 1024, not {max_fields}")
        self.max_frame = max_frame
        self.max_head_bytes = max_head_bytes
        self.max_fields = max_fields
        self.goaway = goaway

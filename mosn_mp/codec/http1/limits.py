"""The limits of an HTTP/1 codec, one object per listener or cluster, shared by its connections."""


class Http1Limits:
    """What one side of a connection may send; a limit of 0 fields or bytes refuses every message.

    max_head_bytes 60 KiB and max_fields 100 as Envoy (HAProxy 101); max_uri_bytes as nginx' large_client_header_buffers, which is
    above the 8,000 that RFC 9112 section 3 recommends; max_body -1 = none; max_interim bounds 1xx responses to one request.
    """

    def __init__(
        self,
        max_head_bytes: int = 61440,
        max_fields: int = 100,
        max_uri_bytes: int = 8192,
        max_body: int = -1,
        max_trailer_bytes: int = 8192,
        max_interim: int = 16,
        reject_underscores: bool = False,
    ) -> None:
        self.max_head_bytes = max_head_bytes
        self.max_fields = max_fields
        self.max_uri_bytes = max_uri_bytes
        self.max_body = max_body
        self.max_trailer_bytes = max_trailer_bytes
        self.max_interim = max_interim
        self.reject_underscores = reject_underscores

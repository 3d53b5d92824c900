"""A stream filter with secrets in its configuration."""

from typing import Annotated, ClassVar

from msgspec import Struct

from mosn_mp.filter.stream_filter import Secret, StreamFilter, Verdict
from mosn_mp.filter.stream_view import StreamView


class VaultConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where it is, and how to open it."""

    address: str
    code: Annotated[str, Secret()]
    old_codes: tuple[Annotated[str, Secret()], ...] = ()
    mood: str = "good"

    def __post_init__(self) -> None:
        if self.mood == "refuse":
            raise ValueError(f"the code {self.code} does not open {self.address}")


class Vault(StreamFilter):
    """Tells its log what it is; cannot be made in a bad mood."""

    Config: ClassVar[type[Struct]] = VaultConfig

    def __init__(self, config: VaultConfig) -> None:
        super().__init__(config)
        if config.mood == "bad":
            raise ValueError(f"no vault opens by {config.code} or {config.old_codes}")

    def on_request(self, stream: StreamView) -> Verdict:
        """Log the configuration."""
        stream.logger.warning("a vault: %r, %s", self.config, self.config)
        return None

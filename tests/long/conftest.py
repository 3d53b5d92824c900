"""The servers of tests/interop, for the tests that measure."""

from tests.interop.conftest import nginx, proxy_to, shared_proxy_to

__all__ = ["nginx", "proxy_to", "shared_proxy_to"]

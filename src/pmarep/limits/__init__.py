"""How many requests go to a site at once, which is next, and how fast their bytes go, in either direction."""

from .concurrency import NEAR, AdaptiveConcurrency, SharedUplink
from .node_share import NodeShare
from .rate_limit import RateLimiter
from .request_queue import PrioritySemaphore

__all__ = ["NEAR", "AdaptiveConcurrency", "NodeShare", "PrioritySemaphore", "RateLimiter", "SharedUplink"]

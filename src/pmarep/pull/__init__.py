"""Bring slides from sites into a folder of this machine."""

from .options import PullOptions
from .run import pull

__all__ = ["PullOptions", "pull"]

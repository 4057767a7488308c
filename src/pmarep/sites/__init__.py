"""The site manager: where slides go (the book), and the passwords that never are in it."""

from .book import SiteBook, default_config_path, slides_settings
from .credentials import Account, Credentials
from .models import Site
from .source import NoBookError

__all__ = ["Account", "Credentials", "NoBookError", "Site", "SiteBook", "default_config_path", "slides_settings"]

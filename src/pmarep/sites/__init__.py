"""The site manager: where slides go (the book), and the passwords that never are in it."""

from .book import SiteBook, default_config_path, slides_settings
from .book_text import NoBookError
from .credentials import Credentials, LoginDetails
from .models import Site

__all__ = ["Credentials", "LoginDetails", "NoBookError", "Site", "SiteBook", "default_config_path", "slides_settings"]

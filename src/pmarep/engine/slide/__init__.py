"""One slide on its way to one site: decide, upload, verify, record."""

"""`pmarep status` (package)."""

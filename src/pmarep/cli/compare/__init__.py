"""`pmarep compare`."""

"""The gate before upload: what `require` and `prepare` of the site book let out, and as what."""

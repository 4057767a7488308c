"""`pmarep sites`: one module per sub-command; `group` puts them together."""

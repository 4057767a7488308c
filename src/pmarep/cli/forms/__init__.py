"""`pmarep forms`: the forms of PMA.cores, and what users have filled in."""

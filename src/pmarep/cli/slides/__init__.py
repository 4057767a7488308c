"""`pmarep slides`: the command and how it prints what it finds."""

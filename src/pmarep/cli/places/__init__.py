"""`pmarep ls`, `mkdir` and `rm`: what lies at places of sites."""

"""List, make and remove what lies at places of sites: what `pmarep ls`, `mkdir` and `rm` do."""

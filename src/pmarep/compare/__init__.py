"""Compare the slides of folders of this machine and of places at PMA.cores: which one is where, and what differs."""

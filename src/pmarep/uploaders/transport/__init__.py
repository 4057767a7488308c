"""Send requests to one site: how many at once, how fast, in which order, and what has arrived."""

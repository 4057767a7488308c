"""Reports of runs: a function of their records alone, as a page, a table or JSON."""

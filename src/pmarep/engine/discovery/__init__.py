"""Find the slides of a run: walk the sources, wait for what is still being written, list what is to be sent."""

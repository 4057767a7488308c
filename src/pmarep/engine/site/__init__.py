"""One site of a run: what it still lacks, how much it takes at once, and what became of each slide there."""

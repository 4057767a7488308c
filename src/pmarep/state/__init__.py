"""What pmarep keeps on disk between runs: the journal, and the locks of site targets."""

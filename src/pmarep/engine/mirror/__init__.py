"""`--mirror`: find the slides at a site that the source has not, and delete them where that is said."""

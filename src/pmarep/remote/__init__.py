"""What lies at a PMA.core: sessions of several servers, and the folders and slides below a place."""

"""Differences between operating systems: open files, private folders, proxies, and names on Windows."""

"""What happens to pushes when everything goes wrong on purpose, by seed."""

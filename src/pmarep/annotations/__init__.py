"""Annotations of slides: compared, brought to a PMA.core without doubling any, kept in side files."""

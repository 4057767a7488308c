"""The parts of `pmarep demo`: made-up slides, two PMA.core stand-ins to push them to, and a check of what arrived.

Needs the extra `sandbox`. The command with its output is `cli/demo.py`.
"""

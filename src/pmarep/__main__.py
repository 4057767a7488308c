"""`python -m pmarep`."""

from .cli import main

main()

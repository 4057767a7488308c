"""Run `-m pmarep ...` under cProfile: _profile.py FILE ARGUMENTS.

Time is the main thread's own (CPU seconds), so that neither waiting nor other work on the machine is in it.
"""

from __future__ import annotations

import cProfile
import runpy
import sys
import time

file, _, module, *arguments = sys.argv[1:]
sys.argv = [module, *arguments]
profile = cProfile.Profile(time.thread_time)
try:
    profile.runcall(runpy.run_module, module, run_name="__main__", alter_sys=True)
finally:
    profile.dump_stats(file)

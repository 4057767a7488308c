# %% [markdown]
# # Seed slideboxes from a folder of slides
#
# A workshop: every instructor has a root-directory (a *slidebox*) on one PMA.core, and all of them begin with the same
# slides. Each `# %%` is a cell: open this file in Jupyter (with jupytext), VS Code or Spyder, or run it as a script:
#
#     export PMA_URL=https://pma.campus.example/core/ PMA_USER=seeder PMAREP_PASSWORD_CAMPUS=...
#     python seed_slideboxes.py cases/

# %%
import asyncio
import os
import sys
from collections import Counter
from contextlib import aclosing
from pathlib import Path

import pmarep
from pmarep import events

DATASET = Path(sys.argv[1] if len(sys.argv) > 1 else "cases")
STATE = Path(os.environ.get("PMAREP_STATE_DIR", "state"))
BOXES = os.environ.get("BOXES", "anna,ben,chloe,dev").split(",")

# %% [markdown]
# ## What is in the folder?
#
# `find_slides` yields a `Slide` for everything that can be sent, and a `LeftOut` with a reason for the rest.

# %%
found = list(pmarep.find_slides(DATASET))
slides = [one for one in found if isinstance(one, pmarep.Slide)]
print(f"{len(slides)} slides, {sum(slide.size for slide in slides) / 1e6:.1f} MB:", Counter(s.format for s in slides))
for one in found:
    if isinstance(one, pmarep.LeftOut) and one.why.is_problem:
        print("cannot be sent:", one.path, one.why.value, one.detail)

# %% [markdown]
# ## One site for each slidebox
#
# No site book is needed. All sites are on one server as one user, so they share one session and one password: that of
# the variable `PMAREP_PASSWORD_CAMPUS`, since they name the server `campus`.

# %%
sites = [
    pmarep.Site(
        name=f"box-{box}",
        server="campus",
        url=os.environ["PMA_URL"],
        username=os.environ["PMA_USER"],
        target=f"slidebox-{box}/demo",
    )
    for box in BOXES
]

# %% [markdown]
# ## Send, and follow the events
#
# In a notebook, `await seed()` is the last line of this cell: a loop runs there already.


# %%
async def seed() -> events.Summary:
    options = pmarep.Options(sources=(DATASET,), verify=pmarep.Verify.FINGERPRINT)
    stream = pmarep.replicate_events(options, sites, passwords=pmarep.Credentials(os.environ), state_dir=STATE)
    async with aclosing(stream) as run:  # leaving the loop early ends the run cleanly
        async for event in run:
            match event:
                case events.SlideFinished(status=events.SlideStatus.FAILED):
                    print(f"{event.site}: {event.slide} failed: {event.error}")
                case events.SlideFinished():
                    print(f"{event.site}: {event.slide} {event.status}")
                case events.Notice():
                    print("note:", event.text)
                case events.Summary():
                    return event
    raise RuntimeError("a run ends with a summary")


summary = asyncio.run(seed())

# %% [markdown]
# ## Who has what?

# %%
for name, site in summary.sites.items():
    print(f"{name}: {site.sent} sent, {site.skipped} there already, {site.failed} failed")
print("every slide is in every box" if summary.exit_code == 0 else "run it again: it sends what is missing")
sys.exit(summary.exit_code)

"""Three random campaigns; `make soak` has hundreds.

PMAREP_CAMPAIGNS=200 PMAREP_FAULT_SEED=1 pytest --timeout 0 tests/faults/test_campaigns.py -s
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import fault_kinds
from support.campaigns import Campaign
from support.cloud import StartCloud
from support.model_sites import ModelSite
from support.sandboxes import SMALLEST_PART, StartSandbox

SEEDS = {"file systems": 1164, "s3": 89, "azure": 46}
"""Campaigns at sites of one kind each, in which together each step comes at least once."""

CAMPAIGNS = int(os.environ.get("PMAREP_CAMPAIGNS", "0"))
"""So many others instead, at any sites."""

FIRST = random.SystemRandom().randrange(10**6)


@pytest.mark.slow
@pytest.mark.parametrize("part", SEEDS)  # so that several processes share them
def test_nothing_is_lost_and_no_report_is_false(
    folder: Path, start_sandbox: StartSandbox, cloud_sandbox: StartCloud, part: str
) -> None:
    cloud = cloud_sandbox("cloud", s3_options={"part_size": SMALLEST_PART})
    model_sites = [
        ModelSite("a", start_sandbox("a"), "Slides"),
        ModelSite("b", start_sandbox("b"), "Slides"),
        ModelSite("s3", cloud.sandbox, "Cloud", cloud),
        ModelSite("azure", cloud.sandbox, "Blobs", cloud),
    ]
    seeds: Sequence[int] = [SEEDS[part]]
    if CAMPAIGNS:
        first = fault_kinds.seed(FIRST)
        seeds = range(first, first + CAMPAIGNS)[list(SEEDS).index(part) :: len(SEEDS)]
    for seed in seeds:
        campaign = Campaign(folder, model_sites, seed, SMALLEST_PART)
        try:
            campaign.run()
        except BaseException:
            steps = "\n".join(f"{number}. {step}" for number, step in enumerate(campaign.steps, 1))
            print(f"\nPMAREP_FAULT_SEED={seed} PMAREP_CAMPAIGNS=1 repeats this:\n{steps}")
            raise

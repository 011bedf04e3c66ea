"""Random operation streams against the model: what the engine folds, slices, spills and merges is what one operation after the
other would have left.
"""

import peer
import pytest
from streams import GROUPS, TABLES, run

SYNCS = 11  # of each variant: with its tables and groups more than 10,000 streams in all

VARIANTS = {
    # name: (environment, a commit at every checkpoint, applied whole)
    "one-commit": ({}, False, True),
    "commit-each-checkpoint": ({"SL_COMMIT_BYTES": 1}, True, True),
    "slices-in-one-transaction": ({"SL_SLICE_BYTES": 1 << 30, "SL_BUFFER_BYTES": 600}, False, True),
    "slices": ({"SL_SLICE_BYTES": 4000, "SL_BUFFER_BYTES": 900}, False, False),
    "tiny-slices": (
        {"SL_SLICE_BYTES": 600, "SL_BUFFER_BYTES": 4000, "SL_COMMIT_BYTES": 1},
        True,
        False,
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_fold_is_the_model(knobs, variant, request):
    env, each, whole = VARIANTS[variant]
    seed = peer.seed_of(20260101 + list(VARIANTS).index(variant))
    streams = run(knobs, seed, SYNCS, env, each, whole, request.node.nodeid)
    assert streams >= 2000


def test_there_are_ten_thousand_streams():
    assert len(VARIANTS) * SYNCS * TABLES * GROUPS >= 10000

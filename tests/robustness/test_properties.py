"""Whatever is damaged: one clear error, or a result that says what failed. A fixed number of
examples of each property, always the same; `make fuzz` tries others."""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.robustness.promise import Outcome, Property
from tests.robustness.properties import PROPERTIES

ALWAYS_THE_SAME = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),  # `make fuzz` makes them small
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("tested", PROPERTIES, ids=lambda tested: tested.name)
def test_the_promise_is_kept(tested: Property, tmp_path, caplog):
    logging.disable()
    try:
        check = tested.begin(tmp_path)
        outcomes: list[Outcome] = []

        @settings(ALWAYS_THE_SAME, max_examples=tested.examples)
        @given(st.data())
        def examples(data: st.DataObject) -> None:
            outcomes.append(check(data.draw))

        examples()
    finally:
        logging.disable(logging.NOTSET)
    assert len(outcomes) >= tested.examples / 2

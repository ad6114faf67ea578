"""Which of several looks that are due at once is made."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from prefect.client.schemas.objects import FlowRun

from poseshift.flows.runtime.in_prefect.missed import first_in_its_place

NIGHT = datetime(2026, 1, 1, 2, tzinfo=UTC)


def run(began: datetime, number: UUID | None = None) -> FlowRun:
    return FlowRun(id=number or uuid4(), flow_id=uuid4(), name=f"{began:%d %H:%M:%S}", start_time=began)


def test_yesterdays_look_does_not_stand_in_for_todays() -> None:
    yesterday, today = run(NIGHT), run(NIGHT + timedelta(days=1, seconds=5))
    assert first_in_its_place(today.id, NIGHT + timedelta(days=1), [yesterday, today]) is None
    assert first_in_its_place(yesterday.id, NIGHT, [yesterday, today]) is None


def test_a_look_that_began_since_does() -> None:
    woken = NIGHT + timedelta(days=5)
    first, second = run(woken), run(woken + timedelta(seconds=1))
    assert first_in_its_place(second.id, NIGHT, [second, first]) == first.name
    assert first_in_its_place(first.id, NIGHT, [second, first]) is None


@given(seconds=st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_exactly_one_of_those_that_were_due_looks(seconds: list[int]) -> None:
    made = [run(NIGHT + timedelta(days=5, seconds=second)) for second in seconds]
    alone = [one for one in made if first_in_its_place(one.id, NIGHT, made) is None]
    assert len(alone) == 1

import pytest
from pydantic import ValidationError

from poseshift.training.schedule import Schedule


def test_epoch_is_one_pass_unless_told_otherwise() -> None:
    assert Schedule(batch_size=256).epoch_length(1000) == 3
    assert Schedule(batch_size=256).epoch_length(10) == 1
    assert Schedule(batch_size=256, steps_per_epoch=7).epoch_length(1000) == 7


def test_warm_up_rises_linearly_to_the_peak() -> None:
    schedule = Schedule(warmup_steps=4, decay="constant")
    factors = [schedule.rate_factor(step, 100) for step in range(6)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


@pytest.mark.parametrize(
    ("decay", "middle"), [("cosine", 0.505), ("exponential", 0.1), ("linear", 0.505), ("constant", 1.0)]
)
def test_decay_from_the_peak_to_the_final_rate(decay, middle) -> None:
    schedule = Schedule(decay=decay, final_rate=0.01)
    assert schedule.rate_factor(0, 101) == pytest.approx(1.0)
    assert schedule.rate_factor(50, 101) == pytest.approx(middle)
    assert schedule.rate_factor(100, 101) == pytest.approx(1.0 if decay == "constant" else 0.01)


def test_step_decay_falls_after_whole_epochs() -> None:
    schedule = Schedule(epochs=5, decay="step", step_epochs=2, step_factor=0.5)
    first_of_epoch = [schedule.rate_factor(7 * epoch, 35) for epoch in range(5)]
    last_of_epoch = [schedule.rate_factor(7 * epoch + 6, 35) for epoch in range(5)]
    assert first_of_epoch == last_of_epoch == pytest.approx([1.0, 1.0, 0.5, 0.5, 0.25])


def test_options_of_published_runs_change_no_digest_of_earlier_runs() -> None:
    written = Schedule().model_dump(mode="json")
    assert {"optimizer", "step_epochs", "step_factor"}.isdisjoint(written)
    published = Schedule(optimizer="adam", decay="step", step_epochs=3, step_factor=0.9)
    assert Schedule.model_validate_json(published.model_dump_json()) == published


@pytest.mark.parametrize("field", ["epochs", "batch_size", "learning_rate", "steps_per_epoch"])
def test_nonsense_is_refused(field) -> None:
    with pytest.raises(ValidationError, match=field):
        Schedule(**{field: 0})


def test_frozen_explained_and_closed() -> None:
    assert all(field.description for field in Schedule.model_fields.values())
    with pytest.raises(ValidationError, match="epoch_count"):
        Schedule(epoch_count=3)
    with pytest.raises(ValidationError, match="frozen"):
        Schedule().epochs = 3

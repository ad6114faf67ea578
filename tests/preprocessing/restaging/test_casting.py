"""Descriptions are classified by their words, and people are divided without sharing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.preprocessing.human36m.layout import EXPECTED_ROWS, SUBJECTS_WITH_POSES, canonical_action
from poseshift.preprocessing.motion.actions import ACTIONS
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.restaging.casting import ACTION_CLASSES, OTHER, ROLES, SHARES, cast, classify


def clip(subject, description, frames, trial=1):
    joints = np.zeros((frames, 17, 3), np.float32)
    return Motion(f"{subject}/{description}/{trial}", subject, description, 50.0, joints)


@pytest.mark.parametrize(
    ("description", "kind", "activity"),
    [
        ("sadwalk", "locomotion", 1),
        ("run_duck_underneath", "acrobatic", 6),
        ("jumping_jacks_jog_squats", "exercise", 2),
        ("sit_on_high_stool", "everyday", 3),
        ("swordplay", "sport", 6),
        ("dance_arms_held_high", "dance", 7),
        ("bend_over_scoop_up", "everyday", 4),
        ("position", "everyday", 7),
        ("laugh", "everyday", 7),
    ],
)
def test_words_decide(description, kind, activity):
    found = classify(description)
    assert (found.kind, found.activity) == (kind, activity)


def test_every_procedural_action_has_a_class():
    assert not [action for action in ACTIONS if classify(action) is OTHER]


def test_wished_actions_exist_in_the_data_set():
    known = {canonical_action(stem.split(" ")[0]) for _, stem in EXPECTED_ROWS}
    for action_class in (*ACTION_CLASSES, OTHER):
        assert set(action_class.human36m_actions) <= known


def test_roles_are_the_subjects_of_the_data_sets():
    assert sorted(ROLES["source"]) == sorted(SUBJECTS_WITH_POSES)
    assert sorted(ROLES["target_train"]) == [f"S{number}" for number in range(1, 9)]
    assert sum(SHARES.values()) == pytest.approx(1.0)


@settings(max_examples=30, deadline=None)
@given(
    frames=st.lists(st.integers(1, 5000), min_size=3, max_size=30),
    words=st.lists(st.sampled_from(["walk", "boxing", "dance", "laugh"]), min_size=30, max_size=30),
)
def test_nobody_is_in_two_groups_and_nobody_is_lost(frames, words):
    motions = [
        clip(f"p{index:02d}", word, count)
        for index, (count, word) in enumerate(zip(frames, words, strict=False))
    ]
    casting = cast(motions)
    people = [person for group in casting.groups.values() for person in group] + list(casting.left_out)
    assert sorted(people) == sorted({motion.subject for motion in motions})
    for group, members in casting.groups.items():
        assert 1 <= len(members) <= len(ROLES[group])
    assert len(casting.left_out) == max(0, len(frames) - 21)
    assert cast(motions[::-1]) == casting


def test_twenty_one_people_fill_all_roles():
    casting = cast([clip(f"p{index}", "walk", 100) for index in range(21)])
    assert [len(casting.groups[group]) for group in ROLES] == [7, 8, 6]


def test_target_train_and_target_test_share_kinds_where_they_can():
    people = [clip(f"d{index}", "dance", 100) for index in range(10)]
    people += [clip(f"w{index}", "walk", 100) for index in range(11)]
    casting = cast(people)
    train, test = (
        np.mean([person.startswith("d") for person in casting.groups[group]])
        for group in ("target_train", "target_test")
    )
    # Dealt in order of name, all ten dancers would come first.
    assert train == pytest.approx(test, abs=0.1)
    assert train > 0.2


def test_two_people_are_too_few():
    with pytest.raises(ValueError, match="2 subject"):
        cast([clip("a", "walk", 10), clip("b", "walk", 10)])

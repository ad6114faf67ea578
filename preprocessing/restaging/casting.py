"""Who plays whom: kinds of action, and a division of subjects over the two data sets.

Source (Human3.6M), target-train (MPI-INF-3DHP S1 to S8) and target-test (TS1 to TS6) share no subject. Kinds
are read off the words of a clip's description; nothing here looks at joints or cameras.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from poseshift.preprocessing.motion.motion import Motion

Kind = Literal["locomotion", "exercise", "sport", "dance", "acrobatic", "everyday"]
Group = Literal["source", "target_train", "target_test"]

ROLES: Mapping[Group, tuple[str, ...]] = {
    "source": ("S1", "S9", "S5", "S11", "S6", "S7", "S8"),
    "target_train": ("S1", "S8", "S2", "S3", "S4", "S5", "S6", "S7"),
    "target_test": ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6"),
}
"""The subjects of the data sets, in the order in which they are cast: the subject with most frames first.

The usual validation subjects (Human3.6M S9 and S11, 3DHP S8) come early, so as not to be the shortest."""

SHARES: Mapping[Group, float] = {"source": 0.45, "target_train": 0.3, "target_test": 0.25}
"""The part of all frames that each group should have."""


@dataclass(frozen=True)
class ActionClass:
    """What a clip counts as.

    Attributes
    ----------
    words : tuple[str, ...]
        A word of the description begins or ends with one of them.
    kind : Kind
        What the division balances.
    activity : MPI-INF-3DHP's activity, 1 to 7: standing or walking, exercising, sitting, reaching or
        crouching, on the floor, sports, miscellaneous.
    human36m_actions : tuple[str, ...]
        Human3.6M's actions that come nearest, best first.
    """

    words: tuple[str, ...]
    kind: Kind
    activity: int
    human36m_actions: tuple[str, ...]


_GESTURES = ("Greeting", "Directions", "Discussion", "Photo", "Posing")
_EVERYDAY = ("Discussion", "Waiting", "Phoning", "Smoking", "Eating", "Purchases", "Photo")
_SITTING = ("Sitting", "SittingDown", "Eating", "Phoning", "Smoking")
_WALKING = ("Walking", "WalkTogether", "WalkDog")

ACTION_CLASSES = (
    ActionClass(("dance", "charleston", "lambada", "pirouette"), "dance", 7, ("Greeting", "Posing")),
    ActionClass(("sit", "stool", "chair"), "everyday", 3, _SITTING),
    ActionClass(("jack", "squat", "stretch", "lunge", "range"), "exercise", 2, ("Posing", "Directions")),
    ActionClass(("cartwheel", "dive", "roll", "crawl"), "acrobatic", 5, ("SittingDown", "Posing")),
    ActionClass(("jump", "hop", "duck", "climb", "balance"), "acrobatic", 6, ("Posing", "Directions")),
    ActionClass(
        (
            "box",
            "punch",
            "kick",
            "sword",
            "soccer",
            "basketball",
            "swing",
            "throw",
            "bat",
            "empi",
            "mawashigeri",
        ),
        "sport",
        6,
        ("Directions", "Posing", "Greeting"),
    ),
    ActionClass(
        ("crouch", "bend", "reach", "pick", "mop", "scoop", "wash"),
        "everyday",
        4,
        ("Purchases", "WalkDog", "SittingDown"),
    ),
    ActionClass(("walk", "run", "jog", "navigate", "turn", "stand"), "locomotion", 1, _WALKING),
    ActionClass(("wave", "greet", "gesture", "talk", "direct", "point"), "everyday", 1, _GESTURES),
)
"""Searched from the first to the last; what none of them names is :data:`OTHER`."""

OTHER = ActionClass((), "everyday", 7, _EVERYDAY)


def classify(description: str) -> ActionClass:
    """Find the class of a description, such as ``"soccer_kick_ball"``."""
    tokens = description.lower().split("_")
    for action_class in ACTION_CLASSES:
        if any(token.startswith(w) or token.endswith(w) for token, w in product(tokens, action_class.words)):
            return action_class
    return OTHER


@dataclass(frozen=True)
class Casting:
    """A division of subjects.

    Attributes
    ----------
    groups : Mapping[Group, tuple[str, ...]]
        Per group, the motions' subjects in the order of :data:`ROLES`.
    left_out : tuple[str, ...]
        Subjects for whom there was no role.
    """

    groups: Mapping[Group, tuple[str, ...]]
    left_out: tuple[str, ...]


def cast(motions: Sequence[Motion], division: int = 0) -> Casting:
    """Divide the subjects: 7 to the source, 8 to target-train, 6 to target-test.

    From the subjects in order of their frames, dealt one by one to the group that lacks most of its share,
    pairs are exchanged while that lowers a cost: the distance of the groups' frames from :data:`SHARES`, plus
    the distance between the kinds of target-train and target-test. The same motions are always divided in the
    same way. Fewer subjects are divided in the same proportion, at least one to each group; of more, those
    with most frames are taken.

    Parameters
    ----------
    motions : Sequence[Motion]
        At least three subjects.
    division : int
        Other numbers than 0 deal in an order that is drawn with this seed, for other divisions of the same
        people; each is as good as its exchanges can make it.

    Raises
    ------
    ValueError : fewer than three subjects.
    """
    frames: Counter[str] = Counter()
    kinds: dict[str, Counter[Kind]] = {}
    for motion in motions:
        frames[motion.subject] += motion.frames
        kinds.setdefault(motion.subject, Counter())[classify(motion.description).kind] += motion.frames
    ranked = sorted(frames, key=lambda subject: (-frames[subject], subject))
    if len(ranked) < len(ROLES):
        raise ValueError(
            f"the motion has {len(ranked)} subject(s); source, target-train and target-test need one each"
        )
    sizes = _sizes(len(ranked))
    taken = ranked[: sum(sizes.values())]
    order = (
        list(taken)
        if division == 0
        else [taken[place] for place in np.random.default_rng(division).permutation(len(taken))]
    )
    seats = _deal(order, frames, sizes)
    seats = _exchange(taken, seats, frames, kinds)
    groups = {group: tuple(subject for subject in taken if seats[subject] == group) for group in sizes}
    return Casting(groups, tuple(ranked[len(taken) :]))


def _sizes(subjects: int) -> dict[Group, int]:
    """Subjects per group, in proportion to the roles and never more than them."""
    sizes: dict[Group, int] = dict.fromkeys(ROLES, 1)
    while sum(sizes.values()) < min(subjects, sum(map(len, ROLES.values()))):
        neediest = min(sizes, key=lambda group: sizes[group] / len(ROLES[group]))
        sizes[neediest] += 1
    return sizes


def _deal(ranked: Sequence[str], frames: Mapping[str, int], sizes: Mapping[Group, int]) -> dict[str, Group]:
    total = sum(frames[subject] for subject in ranked)
    seats: dict[str, Group] = {}
    given: Counter[Group] = Counter()
    held: Counter[Group] = Counter()
    for subject in ranked:
        open_groups = [group for group in sizes if held[group] < sizes[group]]
        lacking = max(open_groups, key=lambda group: SHARES[group] * total - given[group])
        seats[subject] = lacking
        held[lacking] += 1
        given[lacking] += frames[subject]
    return seats


def _exchange(
    ranked: Sequence[str],
    seats: dict[str, Group],
    frames: Mapping[str, int],
    kinds: Mapping[str, Mapping[Kind, int]],
) -> dict[str, Group]:
    cost = _cost(seats, frames, kinds)
    while True:
        offers = []
        for index, first in enumerate(ranked):
            for second in ranked[index + 1 :]:
                if seats[first] != seats[second]:
                    swapped = {**seats, first: seats[second], second: seats[first]}
                    offers.append((_cost(swapped, frames, kinds), first, second))
        if not offers or min(offers)[0] >= cost - 1e-9:
            return seats
        cost, first, second = min(offers)
        seats = {**seats, first: seats[second], second: seats[first]}


def _cost(
    seats: Mapping[str, Group], frames: Mapping[str, int], kinds: Mapping[str, Mapping[Kind, int]]
) -> float:
    total = sum(frames[subject] for subject in seats)
    given: Counter[Group] = Counter()
    of_kind: dict[Group, Counter[Kind]] = {group: Counter() for group in ROLES}
    for subject, group in seats.items():
        given[group] += frames[subject]
        of_kind[group].update(kinds[subject])
    imbalance = sum(abs(given[group] / total - share) for group, share in SHARES.items())
    train, test = of_kind["target_train"], of_kind["target_test"]
    unlike = sum(
        abs(train[kind] / given["target_train"] - test[kind] / given["target_test"])
        for kind in sorted({*train, *test})
    )
    return imbalance + 0.5 * unlike

"""Vocabularies: what they refuse, and labels that go from one to another."""

import numpy as np
import pytest

from leapai.types import ARGOVERSE2, DESIGN, NUSCENES, VOCABULARIES, Detections, Labels, Vocabulary
from leapai.types.vocabulary import MOST_CLASSES
from tests.pictures.made_up import detections

TWO = Vocabulary(("car", "cone"), ("MOD", "SOD"), still=("cone",))


def test_the_default_has_the_classes_of_the_design():
    assert DESIGN.names == (
        *("car", "truck", "bus", "person", "non_motor", "riderless_non_motor"),
        *("barrier", "pillar"),
    )
    assert DESIGN.still_ids == (5, 6, 7)
    assert (DESIGN.half_turn_ids, DESIGN.round_ids) == ((6,), (7,))
    assert [len(each) for each in VOCABULARIES.values()] == [8, 10, 26]
    assert not set(ARGOVERSE2.names) & set(DESIGN.names)
    assert set(NUSCENES.still) == {"traffic_cone", "barrier"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "0 classes"),
        (tuple(f"c{i}" for i in range(MOST_CLASSES + 1)), "65 classes"),
        (("car", "car"), "too much alike"),
        (("a.b", "A_b"), "too much alike"),
        (("all",), "'all'"),
        (("<b>",), "must begin with a letter"),
        (("car\n",), "must begin with a letter"),
        (("c" * 49,), "at most 48"),
        ((3,), "must begin with a letter"),
    ],
)
def test_names_that_cannot_stand_in_tables_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(names, ("MOD",) * len(names))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ("MOD",)}, "needs one of the groups"),
        ({"groups": ("MOD", "CAR")}, "needs one of the groups"),
        ({"still": ("bus",)}, "still names 'bus'"),
        ({"map_classes": ("Curb", "Wall")}, "in this order"),
        ({"map_classes": ("River",)}, "must be some of"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(**({"names": ("car", "cone"), "groups": ("MOD", "SOD")} | changes))


def test_labels_are_renamed_by_name_and_others_left_out():
    labels = Labels.unlabelled(np.arange(28.0).reshape(4, 7), np.array([0, 3, 6, 0]))
    there = labels.renamed(NUSCENES)
    assert there.vocabulary is NUSCENES
    assert there.vocabulary.named(there.class_id) == ["car", "barrier", "car"]
    assert there.boxes[:, 0].tolist() == [0.0, 14.0, 21.0]
    assert "2 car, 1 barrier" in repr(there)


def test_what_is_selected_and_drawn_of_detections_keeps_its_classes():
    found = Detections(**{**vars(detections(np.ones((2, 7)), class_id=[1, 0])), "vocabulary": TWO})
    assert found.select(np.array([0])).class_name.tolist() == ["cone"]
    assert "1 cone, 1 car" in repr(found)

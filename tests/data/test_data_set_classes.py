"""Categories of public data sets in the classes of a vocabulary, and back in submissions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leapai.data.argoverse2 import argoverse2_classes
from leapai.data.argoverse2.argoverse2_submission import argoverse2_table
from leapai.data.argoverse2.argoverse2_tables import CLASS_OF as ARGOVERSE2_CLASS_OF
from leapai.data.log import open_logs
from leapai.data.nuscenes import nuscenes_classes
from leapai.data.nuscenes.nuscenes_annotations import CLASS_OF, NO_COUNTERPART
from leapai.data.nuscenes.nuscenes_splits import scenes_of_split
from leapai.data.nuscenes.nuscenes_submission import detection_rows, tracking_rows
from leapai.types import ARGOVERSE2, CLASS_NAMES, DESIGN, NUSCENES, Vocabulary
from tests.pictures.made_up import detections

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
WORDS = [*CLASS_OF, *NO_COUNTERPART]
DESIGN_ID = np.array([CLASS_NAMES.index(CLASS_OF[w]) if w in CLASS_OF else -1 for w in WORDS])


def own(*names):
    return Vocabulary(names, ("MOD",) * len(names))


def read(vocabulary):
    ids = nuscenes_classes.class_ids(WORDS, DESIGN_ID, vocabulary)
    return {w: vocabulary.names[i] for w, i in zip(WORDS, ids.tolist(), strict=True) if i >= 0}


def test_official_names_mean_what_they_mean_in_the_detection_task():
    assert read(NUSCENES) == nuscenes_classes.DETECTION_NAME_OF
    assert read(own("car", "pedestrian")) == {
        w: n for w, n in nuscenes_classes.DETECTION_NAME_OF.items() if n in ("car", "pedestrian")
    }


def test_the_default_reads_as_before():
    assert read(DESIGN) == CLASS_OF


def test_own_names_are_those_of_categories_or_of_the_design():
    both = read(own("vehicle.emergency.police", "car", "person"))
    assert both["vehicle.emergency.police"] == "vehicle.emergency.police"
    assert both["vehicle.car"] == "car"
    assert both["human.pedestrian.wheelchair"] == "person"
    assert "vehicle.truck" not in both


def test_a_data_set_with_none_of_the_classes_is_refused_by_name():
    with pytest.raises(ValueError, match=r"has none of the classes llama; its own are car, truck"):
        open_logs("nuscenes:/nowhere", image_size_px=(8, 8), vocabulary=own("llama"))
    with pytest.raises(ValueError, match=r"argoverse2: has none of the classes llama"):
        open_logs("argoverse2:/nowhere", image_size_px=(8, 8), vocabulary=own("llama"))
    with pytest.raises(ValueError, match=r"labels are of the classes car, truck.*but llama; name"):
        open_logs("synthetic:frames=1", image_size_px=(32, 60), vocabulary=own("llama"))


def test_labels_of_another_vocabulary_are_renamed():
    (log,) = open_logs("synthetic:frames=1", image_size_px=(32, 60), vocabulary=own("bus", "car"))
    (plain,) = open_logs("synthetic:frames=1", image_size_px=(32, 60))
    given, before = log.ground_truth(0).labels, plain.ground_truth(0).labels
    kept = np.isin(before.class_id, [0, 2])
    assert 0 < len(given) == kept.sum() < len(before)
    assert given.vocabulary.named(given.class_id) == before.select(kept).vocabulary.named(
        before.class_id[kept]
    )


def test_argoverse_has_all_categories_of_its_task():
    words = [*ARGOVERSE2_CLASS_OF, *argoverse2_classes.NO_COUNTERPART]
    ids = np.full(len(words), -1)
    found = argoverse2_classes.class_ids(words, ids, ARGOVERSE2)
    read_as = {w: ARGOVERSE2.names[i] for w, i in zip(words, found, strict=True) if i >= 0}
    assert set(read_as.values()) == set(ARGOVERSE2.names)
    assert read_as.pop("MOBILE_PEDESTRIAN_SIGN") == "MOBILE_PEDESTRIAN_CROSSING_SIGN"
    assert all(word == name for word, name in read_as.items())
    assert "OFFICIAL_SIGNALER" not in read_as


def said(vocabulary, class_id, speed_mps):
    boxes = np.tile([1.0, 2, 0, 4, 2, 1.5, 0], (len(class_id), 1))
    velocity = np.outer(speed_mps, [0.6, 0.8, 0.0])
    found = detections(boxes, class_id=class_id)
    return replace(
        found, velocity_mps=velocity, vocabulary=vocabulary, track_id=np.arange(len(boxes))
    )


def test_submissions_have_every_class_with_the_attribute_of_its_speed():
    ids = [*range(10), *range(10)]
    rows = detection_rows(said(NUSCENES, ids, [0.1] * 10 + [2.0] * 10), "s")
    names = {row["detection_name"] for row in rows}
    assert names == set(NUSCENES.names)
    at_rest, moving = (
        {row["detection_name"]: row["attribute_name"] for row in part}
        for part in (rows[:10], rows[10:])
    )
    assert at_rest == {
        **dict.fromkeys(("car", "truck", "trailer", "construction_vehicle"), "vehicle.parked"),
        "bus": "vehicle.stopped",
        "pedestrian": "pedestrian.standing",
        **dict.fromkeys(("motorcycle", "bicycle"), "cycle.without_rider"),
        **dict.fromkeys(("traffic_cone", "barrier"), ""),
    }
    assert moving["car"] == moving["bus"] == "vehicle.moving"
    assert moving["pedestrian"] == "pedestrian.moving"
    assert moving["motorcycle"] == moving["bicycle"] == "cycle.with_rider"
    assert moving["traffic_cone"] == ""
    tracked = {row["tracking_name"] for row in tracking_rows(said(NUSCENES, ids, [0] * 20), "s")}
    assert tracked == set(nuscenes_classes.TRACKING_NAMES)


def test_argoverse_gets_its_own_words_and_no_class_that_it_lacks():
    table = argoverse2_table(said(ARGOVERSE2, [*range(26)], [0.0] * 26))
    assert table["category"].to_pylist() == list(ARGOVERSE2.names)
    table = argoverse2_table(said(own("car", "llama"), [0, 1, 0], [0.0] * 3))
    assert table["category"].to_pylist() == ["REGULAR_VEHICLE"] * 2


def test_splits_are_the_official_ones():
    scenes = [f"scene-{number:04d}" for number in range(1, 1111)]
    val = scenes_of_split("val", "v1.0-trainval", scenes)
    assert len(val) == 150
    assert {"scene-0003", "scene-0103", "scene-1073"} <= set(val)
    assert not {"scene-0061", "scene-0628", "scene-0918"} & set(val)
    train = scenes_of_split("train", "v1.0-trainval", scenes)
    assert sorted([*train, *val]) == scenes
    assert scenes_of_split("val", "v1.0-mini", scenes) == ["scene-0103", "scene-0916"]
    with pytest.raises(ValueError, match=r"split=test is none; splits are train, val"):
        scenes_of_split("test", "v1.0-trainval", scenes)
    with pytest.raises(ValueError, match=r"has none of the scenes of split=val; use `scenes=FILE`"):
        scenes_of_split("val", "v1.0-mini", ["drive-7"])


@pytest.mark.skipif(not REAL.is_dir(), reason="real data is absent: ../shared/data")
def test_real_labels_are_read_in_their_own_classes():
    (log,) = open_logs(f"nuscenes:{REAL / 'nuscenes'}", image_size_px=(8, 8), vocabulary=NUSCENES)
    words = log.annotated_boxes(0).words
    labels = log.ground_truth(0).labels
    expected = [nuscenes_classes.DETECTION_NAME_OF.get(word) for word in words]
    assert labels.vocabulary.named(labels.class_id) == [name for name in expected if name]
    (log,) = open_logs(
        f"argoverse2:{REAL / 'argoverse2'}", image_size_px=(8, 8), vocabulary=ARGOVERSE2
    )
    labels, words = log.ground_truth(5).labels, log.annotated_boxes(5).words
    known = [word for word in words if word in ARGOVERSE2.names]
    assert labels.vocabulary.named(labels.class_id) == known
    assert len(known) > 40

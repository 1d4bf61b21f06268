"""The labels of py123d's data sets by their numbers, with their classes in the design's eight.

A log names the Python class of its labels. py123d imports what a log names; here it is looked up in
this table, because no file may choose the code that is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class LabelClass(NamedTuple):
    """Labels of a data set; the place of a word is its number in a log."""

    words: tuple[str, ...]
    class_of: dict[str, str]
    """Word -> class of the design; a word without counterpart is not in it."""


def _labels(table: str) -> LabelClass:
    pairs = [entry.partition("=")[::2] for entry in table.split()]
    return LabelClass(
        tuple(word for word, _ in pairs), {word: name for word, name in pairs if name}
    )


# Vehicles of unstated kind are cars, and two-wheelers are ridden where a label does not say whether
# somebody rides them (as in the reader of nuScenes). Where riders have a box of their own, the
# machine below has no rider. Trailers move like trucks. Cones and temporary signs are put on the
# road as barriers.
_LABELS = {
    "DefaultBoxDetectionLabel": _labels("""
        EGO VEHICLE=car TRAIN TWO_WHEELER=non_motor PERSON=person ANIMAL TRAFFIC_SIGN
        TRAFFIC_CONE=barrier TRAFFIC_LIGHT BARRIER=barrier GENERIC_OBJECT OTHER"""),
    "WODPerceptionBoxDetectionLabel": _labels("""
        TYPE_UNKNOWN TYPE_VEHICLE=car TYPE_PEDESTRIAN=person TYPE_SIGN TYPE_CYCLIST=non_motor"""),
    "WODMotionBoxDetectionLabel": _labels("""
        TYPE_UNSET TYPE_VEHICLE=car TYPE_PEDESTRIAN=person TYPE_CYCLIST=non_motor TYPE_OTHER"""),
    "NuPlanBoxDetectionLabel": _labels("""
        VEHICLE=car BICYCLE=non_motor PEDESTRIAN=person TRAFFIC_CONE=barrier BARRIER=barrier
        CZONE_SIGN=barrier GENERIC_OBJECT"""),
    "KITTI360BoxDetectionLabel": _labels("""
        BICYCLE=riderless_non_motor BOX BUS=bus CAR=car CARAVAN=truck LAMP
        MOTORCYCLE=riderless_non_motor PERSON=person POLE RIDER=non_motor SMALLPOLE=pillar STOP
        TRAFFIC_LIGHT TRAFFIC_SIGN TRAILER=truck TRAIN TRASH_BIN TRUCK=truck VENDING_MACHINE"""),
    "NuScenesBoxDetectionLabel": _labels("""
        VEHICLE_CAR=car VEHICLE_TRUCK=truck VEHICLE_BUS_BENDY=bus VEHICLE_BUS_RIGID=bus
        VEHICLE_CONSTRUCTION=truck VEHICLE_EMERGENCY_AMBULANCE=truck VEHICLE_EMERGENCY_POLICE=car
        VEHICLE_TRAILER=truck VEHICLE_BICYCLE=non_motor VEHICLE_MOTORCYCLE=non_motor
        HUMAN_PEDESTRIAN_ADULT=person HUMAN_PEDESTRIAN_CHILD=person
        HUMAN_PEDESTRIAN_CONSTRUCTION_WORKER=person HUMAN_PEDESTRIAN_PERSONAL_MOBILITY=non_motor
        HUMAN_PEDESTRIAN_POLICE_OFFICER=person HUMAN_PEDESTRIAN_STROLLER
        HUMAN_PEDESTRIAN_WHEELCHAIR=person MOVABLE_OBJECT_TRAFFICCONE=barrier
        MOVABLE_OBJECT_BARRIER=barrier MOVABLE_OBJECT_PUSHABLE_PULLABLE MOVABLE_OBJECT_DEBRIS
        STATIC_OBJECT_BICYCLE_RACK ANIMAL"""),
    "AV2SensorBoxDetectionLabel": _labels("""
        ANIMAL ARTICULATED_BUS=bus BICYCLE=riderless_non_motor BICYCLIST=non_motor BOLLARD=pillar
        BOX_TRUCK=truck BUS=bus CONSTRUCTION_BARREL=barrier CONSTRUCTION_CONE=barrier DOG
        LARGE_VEHICLE=truck MESSAGE_BOARD_TRAILER=barrier MOBILE_PEDESTRIAN_CROSSING_SIGN=barrier
        MOTORCYCLE=riderless_non_motor MOTORCYCLIST=non_motor OFFICIAL_SIGNALER=person
        PEDESTRIAN=person RAILED_VEHICLE REGULAR_VEHICLE=car SCHOOL_BUS=bus SIGN STOP_SIGN STROLLER
        TRAFFIC_LIGHT_TRAILER=barrier TRUCK=truck TRUCK_CAB=truck VEHICULAR_TRAILER=truck WHEELCHAIR
        WHEELED_DEVICE=riderless_non_motor WHEELED_RIDER=non_motor"""),
    "PandasetBoxDetectionLabel": _labels("""
        ANIMALS_BIRD ANIMALS_OTHER BICYCLE=non_motor BUS=bus CAR=car CONES=barrier
        CONSTRUCTION_SIGNS=barrier EMERGENCY_VEHICLE=truck MEDIUM_SIZED_TRUCK=truck
        MOTORCYCLE=non_motor MOTORIZED_SCOOTER=non_motor OTHER_VEHICLE_CONSTRUCTION_VEHICLE=truck
        OTHER_VEHICLE_PEDICAB=non_motor OTHER_VEHICLE_UNCOMMON=car PEDESTRIAN=person
        PEDESTRIAN_WITH_OBJECT=person PERSONAL_MOBILITY_DEVICE=non_motor PICKUP_TRUCK=car
        PYLONS=barrier ROAD_BARRIERS=barrier ROLLING_CONTAINERS SEMI_TRUCK=truck SIGNS
        TEMPORARY_CONSTRUCTION_BARRIERS=barrier TOWED_OBJECT=truck TRAIN TRAM_SUBWAY"""),
    "PhysicalAIAVBoxDetectionLabel": _labels("""
        AUTOMOBILE=car PERSON=person BUS=bus HEAVY_TRUCK=truck OTHER_VEHICLE=car PROTRUDING_OBJECT
        RIDER=non_motor STROLLER TRAILER=truck ANIMAL TRAIN_OR_TRAM_CAR TROLLEY_BUS=bus"""),
    "NureasoningBoxDetectionLabel": _labels("""
        VEHICLE_CAR=car VEHICLE_PERSONAL_MOBILITY_BYCICLE=non_motor HUMAN=person
        OTHER_TRAFFICCONE=barrier OTHER_TEMPORARY_TRAFFICSIGN=barrier OTHER_OTHER VEHICLE_DOOR
        VEHICLE_TRUCK=truck VEHICLE_BUS=bus VEHICLE_MOTORCYCLE=non_motor VEHICLE_BICYCLE=non_motor
        HUMAN_PEDESTRIAN=person CONSTRUCTION_TRAFFIC_CONE=barrier"""),
    "GriffinBoxDetectionLabel": _labels("""
        PEDESTRIAN=person CAR=car TRUCK=truck BUS=bus MOTORCYCLE=non_motor BICYCLE=non_motor"""),
    "TruckDriveBoxDetectionLabel": _labels("""
        BIKE=non_motor PASSENGER_CAR=car PERSON=person ROAD_OBSTRUCTION=barrier
        SEMI_TRUCK_CAB=truck SEMI_TRUCK_TRAILER=truck VEHICLE=car TRAFFIC_SIGN
        EMERGENCY_VEHICLE=truck"""),
}


def label_class(qualified_name: str, path: Path) -> LabelClass:
    """Returns the labels that a log names as `module.Class`. Raises ValueError, with the log's
    file, for those that are not known."""
    name = qualified_name.rpartition(".")[2]
    if name not in _LABELS:
        raise ValueError(
            f"{path}: box_detection_label_class = {qualified_name[:80]!r} is not known; convert "
            f"with one of: {', '.join(sorted(_LABELS))}"
        )
    return _LABELS[name]

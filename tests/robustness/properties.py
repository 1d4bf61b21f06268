"""All properties: `make test` tries a few examples of each, `make fuzz` many."""

from tests.robustness import bag_properties, data_properties, file_properties, run_properties

PROPERTIES = (
    *data_properties.PROPERTIES,
    *bag_properties.PROPERTIES,
    *file_properties.PROPERTIES,
    *run_properties.PROPERTIES,
)

from __future__ import annotations

from datetime import timedelta

import pytest

from modeldata_operator import configuration


def test_nothing_set_gives_the_documented_defaults():
    config = configuration.from_environment({})
    assert config == configuration.Configuration("modeldata-system")


def test_the_lifetime_of_a_sas_can_be_set():
    assert configuration.from_environment({"MODELDATA_SAS_LIFETIME": "3600"}).sas_lifetime == timedelta(hours=1)


@pytest.mark.parametrize("value", ["soon", "10"])
def test_a_value_that_makes_no_sense_ends_the_process_with_its_name(value):
    with pytest.raises(SystemExit, match="MODELDATA_SAS_LIFETIME"):
        configuration.from_environment({"MODELDATA_SAS_LIFETIME": value})

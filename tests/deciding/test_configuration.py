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


def test_without_namespaces_the_whole_cluster_is_served():
    assert configuration.from_environment({}).serves("anything")


def test_only_the_given_namespaces_are_served():
    config = configuration.from_environment({"MODELDATA_NAMESPACES": "models, scoring,,models"})
    assert config.namespaces == ("models", "scoring")
    assert config.serves("scoring")
    assert not config.serves("modeldata-system")


@pytest.mark.parametrize("value", ["team-*", "Models", "a b", "-a", "!models", "a" * 64])
def test_what_is_no_namespaces_name_ends_the_process_with_it(value):
    with pytest.raises(SystemExit, match="MODELDATA_NAMESPACES: "):
        configuration.from_environment({"MODELDATA_NAMESPACES": f"models,{value}"})


def test_the_certificate_is_the_operators_own_unless_it_is_given():
    assert configuration.from_environment({"MODELDATA_CERTIFICATES": "own"}).own_certificates
    assert not configuration.from_environment({"MODELDATA_CERTIFICATES": "given"}).own_certificates
    with pytest.raises(SystemExit, match='must be "own" or "given"'):
        configuration.from_environment({"MODELDATA_CERTIFICATES": "cert-manager"})

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


def test_names_of_the_installation_are_told():
    names = {
        "MODELDATA_WEBHOOK_NAME": "mdc-webhook",
        "MODELDATA_CONTROLLER_NAME": "mdc-controller",
        "MODELDATA_CERTIFICATE_SECRET": "mdc-tls",
        "MODELDATA_OPERATOR_NAMESPACE": "ops",
    }
    config = configuration.from_environment(names)
    assert config.webhook_host == "mdc-webhook.ops.svc"
    assert str(config.controller) == "ops/mdc-controller"
    assert str(config.certificate) == "ops/mdc-tls"


def test_logs_are_text_or_json():
    assert not configuration.from_environment({"MODELDATA_LOG_FORMAT": "text"}).json_logs
    assert configuration.from_environment({"MODELDATA_LOG_FORMAT": "json"}).json_logs
    with pytest.raises(SystemExit, match='MODELDATA_LOG_FORMAT must be "text" or "json"'):
        configuration.from_environment({"MODELDATA_LOG_FORMAT": "yaml"})


def test_an_option_goes_before_the_variable_that_it_stands_for():
    told = configuration.with_options(["--log-level=debug", "--resync=7"], {"MODELDATA_RESYNC": "60", "OTHER": "x"})
    config = configuration.from_environment(told)
    assert (config.log_level, config.resync) == ("DEBUG", 7)
    assert told["OTHER"] == "x"


@pytest.mark.parametrize("option", ["--logg-level=DEBUG", "--resync", "resync=7", "--operator-namespace=x", "-v"])
def test_an_option_that_there_is_not_ends_the_process_with_its_name(option):
    with pytest.raises(SystemExit, match=option):
        configuration.with_options([option], {})


def test_every_option_is_a_variable_that_is_read():
    values = {"certificates": "given", "log-level": "DEBUG", "log-format": "json", "namespaces": "a"}
    for name in configuration.OPTIONS:
        told = configuration.with_options([f"--{name}={values.get(name, '7777')}"], {})
        assert configuration.from_environment(told) != configuration.from_environment({}), name


def test_the_cluster_has_a_name_that_can_be_a_part_of_a_path():
    assert configuration.from_environment({}).cluster_name == "default"
    assert configuration.from_environment({"MODELDATA_CLUSTER_NAME": ""}).cluster_name == "default"
    assert configuration.from_environment({"MODELDATA_CLUSTER_NAME": "west-1.(a)"}).cluster_name == "west-1.(a)"


@pytest.mark.parametrize("value", ["-west", "a/b", "..", "w" * 91, "west\n", "a b"])
def test_what_can_be_no_part_of_a_path_ends_the_process_with_it(value):
    with pytest.raises(SystemExit, match="MODELDATA_CLUSTER_NAME"):
        configuration.from_environment({"MODELDATA_CLUSTER_NAME": value})

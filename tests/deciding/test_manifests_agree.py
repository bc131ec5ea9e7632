"""Two manifests install the operator, for the cluster and for namespaces; they differ only in reach."""

from __future__ import annotations

import copy
import pathlib

import pytest
import yaml

from modeldata_operator.api import names

MANIFESTS = pathlib.Path(__file__).parents[2] / "manifests"
RIGHTS = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def objects(path):
    documents = yaml.safe_load_all((MANIFESTS / path).read_text(encoding="utf-8"))
    return {(item["kind"], item["metadata"]["name"], item["metadata"].get("namespace")): item for item in documents}


CLUSTER, NAMESPACED = objects("install.yaml"), objects("namespaced/install.yaml")


def unlimited(item):
    """Take out what limits an object to namespaces."""
    item = copy.deepcopy(item)
    if item["kind"] == "Deployment":
        (container,) = item["spec"]["template"]["spec"]["containers"]
        container["env"] = [each for each in container["env"] if each["name"] != "MODELDATA_NAMESPACES"]
    if item["kind"] == "MutatingWebhookConfiguration":
        (entry,) = item["webhooks"]
        del entry["namespaceSelector"]
    return item


def test_all_but_the_rights_is_the_same_in_both():
    shared = {key for key in CLUSTER if key[0] not in RIGHTS}
    assert shared == {key for key in NAMESPACED if key[0] not in RIGHTS}
    for key in shared:
        assert unlimited(CLUSTER[key]) == unlimited(NAMESPACED[key]), key


def test_namespaced_only_the_webhook_configuration_needs_a_right_in_the_cluster():
    bound = [item for key, item in NAMESPACED.items() if key[0] == "ClusterRoleBinding"]
    assert [item["roleRef"]["name"] for item in bound] == ["modeldata-operator-trust"]


def test_both_processes_and_the_webhook_are_given_the_same_namespaces():
    given = {
        variable["value"]
        for item in NAMESPACED.values()
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
        for variable in container["env"]
        if variable["name"] == "MODELDATA_NAMESPACES"
    }
    (entry,) = NAMESPACED["MutatingWebhookConfiguration", names.WEBHOOK_CONFIGURATION, None]["webhooks"]
    (expression,) = entry["namespaceSelector"]["matchExpressions"]
    assert given == {",".join(expression["values"])} == {"models"}


@pytest.mark.parametrize("installed", [CLUSTER, NAMESPACED], ids=["cluster", "namespaced"])
def test_every_policy_is_bound_fails_closed_and_concerns_only_the_operators_accounts(installed):
    accounts = [f"system:serviceaccount:{key[2]}:{key[1]}" for key in installed if key[0] == "ServiceAccount"]
    policies = [item for key, item in installed.items() if key[0] == "ValidatingAdmissionPolicy"]
    assert len(accounts) == 2
    assert policies
    for policy in policies:
        binding = installed["ValidatingAdmissionPolicyBinding", policy["metadata"]["name"], None]
        assert binding["spec"]["policyName"] == policy["metadata"]["name"]
        assert binding["spec"]["validationActions"] == ["Deny"]
        assert policy["spec"]["failurePolicy"] == "Fail"
        (condition,) = policy["spec"]["matchConditions"]
        assert condition["expression"].startswith("has(request.userInfo.username) && ")
        assert all(f"'{account}'" in condition["expression"] for account in accounts)


def test_the_policies_name_what_the_operator_writes():
    text = (MANIFESTS / "install.yaml").read_text(encoding="utf-8")
    for name in (
        names.SETTINGS_ANNOTATION,
        names.RESTARTED_FOR_ANNOTATION,
        names.MANAGED_BY_LABEL,
        names.FIELD_MANAGER,
        names.COLLECTION_LABEL,
        names.COLLECTION_NAMESPACE_LABEL,
        names.CERTIFICATE_SECRET,
    ):
        assert f"'{name}'" in text

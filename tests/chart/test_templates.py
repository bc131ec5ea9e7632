"""What each template of the chart makes, and which values change it."""

from __future__ import annotations

import json
import typing

import pytest
import yaml

from modeldata_operator import configuration
from modeldata_operator.api import grants as api_grants

from .conftest import CHART, REPOSITORY, Helm, Key, Manifest, Refused

SYSTEM = "modeldata-system"
WEBHOOK, CONTROLLER = "modeldata-operator-webhook", "modeldata-operator-controller"
# The test that looks at each; a new template needs one.
LOOKED_AT = {
    "_closing.tpl": "test_jobs_that_close_days_are_made_as_the_values_say",
    "_names.tpl": "test_in_another_namespace_what_has_none_is_called_after_it",
    "_pods.tpl": "test_the_processes_are_told_what_the_values_say",
    "_rules.tpl": "test_rights_are_held_where_models_run_and_nowhere_else",
    "NOTES.txt": "tests/cluster/installing/test_chart.py",
    "accounts.yaml": "test_the_controllers_account_can_be_given_an_azure_identity",
    "admission.yaml": "test_the_webhook_is_asked_about_the_namespaces_that_are_meant",
    "certificate.yaml": "test_cert_manager_can_make_the_certificate",
    "checks.yaml": "test_the_operators_own_namespace_is_none_of_models",
    "controller.yaml": "test_the_processes_are_told_what_the_values_say",
    "crd.yaml": "test_the_crd_is_the_one_of_the_repository_and_is_kept",
    "disruption.yaml": "test_what_is_switched_off_is_not_there",
    "extra.yaml": "tests/chart/test_platforms.py",
    "monitoring.yaml": "test_monitoring_is_there_when_it_is_asked_for",
    "networkpolicies.yaml": "test_the_webhook_reaches_the_api_servers_ports",
    "people.yaml": "test_what_is_switched_off_is_not_there",
    "policies.yaml": "test_in_another_namespace_what_has_none_is_called_after_it",
    "retirement.yaml": "test_before_it_is_uninstalled_the_operator_retires",
    "rights.yaml": "test_rights_are_held_where_models_run_and_nowhere_else",
    "service.yaml": "test_the_webhooks_service_leads_to_its_pods",
    "tests/injection.yaml": "test_helm_test_looks_where_models_run",
    "webhook.yaml": "test_the_processes_are_told_what_the_values_say",
}


def test_every_template_is_looked_at() -> None:
    templates = CHART / "templates"
    files = {str(path.relative_to(templates)) for path in templates.rglob("*") if path.is_file()}
    assert files == set(LOOKED_AT)
    for name in LOOKED_AT.values():
        assert name in globals() or (REPOSITORY / name).exists(), name


def test_lint_finds_nothing(helm: Helm) -> None:
    helm.run("lint", "--strict", str(CHART))


def container(objects: dict[Key, Manifest], name: str) -> Manifest:
    (found,) = objects["Deployment", name, SYSTEM]["spec"]["template"]["spec"]["containers"]
    return typing.cast(Manifest, found)


def variables(objects: dict[Key, Manifest], name: str) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container(objects, name)["env"]}


def names(objects: dict[Key, Manifest], kind: str) -> set[str]:
    return {key[1] for key in objects if key[0] == kind}


@pytest.mark.parametrize("plural", sorted(path.stem for path in (REPOSITORY / "crds").glob("*.yaml")))
def test_the_crd_is_the_one_of_the_repository_and_is_kept(helm: Helm, plural: str) -> None:
    key = ("CustomResourceDefinition", f"{plural}.modeldata.dev", "")
    there = yaml.safe_load((REPOSITORY / f"crds/{plural}.yaml").read_text())
    kept = helm.objects()[key]
    assert kept["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert kept == there
    assert helm.objects({"crds.keep": False})[key] == there
    assert key not in helm.objects({"crds.enabled": False})


def test_the_processes_are_told_what_the_values_say(helm: Helm) -> None:
    usual = helm.objects()
    for name in (WEBHOOK, CONTROLLER):
        assert container(usual, name)["image"] == "localhost/modeldata-operator:dev"
        assert "MODELDATA_NAMESPACES" not in variables(usual, name)
        assert "MODELDATA_CERTIFICATES" not in variables(usual, name)
        assert "MODELDATA_CLUSTER_NAME" not in variables(usual, name)
    digest = "sha256:" + "0" * 64
    values = {
        "image": {"repository": "registry.example/operator", "digest": digest, "pullSecrets": ["pull"]},
        "controller.sasLifetimeSeconds": 7200,
        "controller.resyncSeconds": 1000000,
        "controller.podLabels": {"azure.workload.identity/use": "true"},
        "controller.resources": {"limits": {"memory": "1Gi"}},
        "webhook.resources": {"limits": {"memory": "256Mi"}},
        "webhook.replicas": 3,
        "controller.replicas": 3,
        "namespaces": ["a", "b"],
        "clusterName": "west",
        "logLevel": "DEBUG",
        "priorityClassName": "high",
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
    }
    asked = helm.objects(values)
    for name in (WEBHOOK, CONTROLLER):
        pod = asked["Deployment", name, SYSTEM]["spec"]["template"]["spec"]
        assert container(asked, name)["image"] == f"registry.example/operator@{digest}"
        assert pod["imagePullSecrets"] == [{"name": "pull"}]
        assert pod["priorityClassName"] == "high"
        assert variables(asked, name)["MODELDATA_CLUSTER_NAME"] == "west"
        assert pod["nodeSelector"] == {"pool": "system"}
        assert pod["tolerations"] == [{"key": "system", "operator": "Exists"}]
        assert pod["affinity"] == {"nodeAffinity": {}}
        assert variables(asked, name)["MODELDATA_NAMESPACES"] == "a,b"
        assert variables(asked, name)["MODELDATA_LOG_LEVEL"] == "DEBUG"
    assert variables(asked, CONTROLLER)["MODELDATA_SAS_LIFETIME"] == "7200"
    assert variables(asked, CONTROLLER)["MODELDATA_RESYNC"] == "1000000"
    labels = asked["Deployment", CONTROLLER, SYSTEM]["spec"]["template"]["metadata"]["labels"]
    assert labels["azure.workload.identity/use"] == "true"
    assert container(asked, CONTROLLER)["resources"]["limits"] == {"memory": "1Gi"}
    assert container(asked, WEBHOOK)["resources"]["limits"] == {"memory": "256Mi"}
    assert asked["Deployment", WEBHOOK, SYSTEM]["spec"]["replicas"] == 3
    assert asked["Deployment", CONTROLLER, SYSTEM]["spec"]["replicas"] == 3


def test_where_nothing_is_restarted_there_is_no_right_to(helm: Helm) -> None:
    usual, none = helm.objects(), helm.objects({"controller.restartsAtOnce": 0})
    assert variables(usual, CONTROLLER)["MODELDATA_RESTARTS_AT_ONCE"] == "3"
    assert variables(none, CONTROLLER)["MODELDATA_RESTARTS_AT_ONCE"] == "0"

    def changes(objects: dict[Key, Manifest]) -> set[tuple[str, str]]:
        rules = objects["ClusterRole", CONTROLLER, ""]["rules"]
        made = {(verb, resource) for rule in rules for verb in rule["verbs"] for resource in rule["resources"]}
        return {(verb, resource) for verb, resource in made if verb not in ("get", "list", "watch")}

    assert ("create", "pods") in changes(usual)
    assert ("create", "pods/eviction") in changes(usual)
    assert changes(none) == {("patch", "pods"), ("patch", "datacollections/status"), ("create", "events")}


def test_jobs_that_close_days_are_made_as_the_values_say(helm: Helm) -> None:
    def told(values: Manifest) -> Manifest:
        found = configuration.from_environment(variables(helm.objects(values), CONTROLLER)).closing
        assert found is not None
        return {"runner": found, "pod": found.template["spec"], **found.template["metadata"]}

    usual = told({})
    (closing,) = usual["pod"]["containers"]
    assert closing["image"] == "localhost/modeldata-analytics:dev"
    assert usual["pod"]["volumes"] == [{"name": "scratch", "emptyDir": {"sizeLimit": "20Gi"}}]
    assert usual["pod"]["automountServiceAccountToken"] is False
    assert usual["runner"].at_once == 2
    values = {
        "closing.image": {"repository": "registry.example/analytics", "tag": "1"},
        "closing.jobsAtOnce": 5,
        "closing.deadlineSeconds": 7200,
        "closing.memory": "8GB",
        "closing.threads": 4,
        "closing.scratch": {"size": "100Gi", "storageClassName": "fast"},
        "closing.nodeSelector": {"pool": "batch"},
        "closing.tolerations": [{"key": "batch", "operator": "Exists"}],
        "closing.priorityClassName": "low",
        "closing.extraEnv": [{"name": "X", "value": "$(HOME)"}],
        "closing.podLabels": {"team": "platform"},
        "closing.podAnnotations": {"a": "b"},
        "closing.resources": {"limits": {"memory": "12Gi"}},
        "image.pullSecrets": ["pull"],
        "commonLabels": {"cost": "1"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
    }
    asked = told(values)
    (closing,) = asked["pod"]["containers"]
    assert closing["image"] == "registry.example/analytics:1"
    assert closing["resources"]["limits"] == {"memory": "12Gi"}
    # The kubelet, which fills in variables of the controller, takes two dollars for one.
    assert {"name": "X", "value": "$$(HOME)"} in closing["env"]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy"} in closing["env"]
    claim = asked["pod"]["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (claim["storageClassName"], claim["resources"]["requests"]["storage"]) == ("fast", "100Gi")
    assert asked["pod"]["nodeSelector"] == {"pool": "batch"}
    assert asked["pod"]["tolerations"] == [{"key": "batch", "operator": "Exists"}]
    assert asked["pod"]["priorityClassName"] == "low"
    assert asked["pod"]["imagePullSecrets"] == [{"name": "pull"}]
    assert asked["labels"]["team"] == "platform"
    assert asked["labels"]["cost"] == asked["runner"].labels["cost"] == "1"
    assert asked["annotations"]["a"] == "b"
    runner = asked["runner"]
    assert (runner.at_once, runner.memory, runner.threads) == (5, "8GB", 4)
    assert runner.deadline.total_seconds() == 7200
    # Scrapes are for what serves: it is none of the metrics' Service.
    selector = helm.objects({"monitoring.serviceMonitor.enabled": True})[
        "Service", "modeldata-operator-metrics", SYSTEM
    ]
    assert not selector["spec"]["selector"].items() <= asked["labels"].items()


def test_where_no_days_are_closed_there_is_no_right_to(helm: Helm) -> None:
    none = helm.objects({"closing.enabled": False})
    assert "MODELDATA_CLOSING" not in variables(none, CONTROLLER)
    for body in none.values():
        assert "jobs" not in [resource for rule in body.get("rules") or () for resource in rule.get("resources", ())]
    assert ("NetworkPolicy", "modeldata-operator-closing", SYSTEM) not in none
    # Elsewhere than in its own namespace there never is.
    for values in ({}, {"namespaces": ["a"]}):
        for key, body in helm.objects(values).items():
            if "jobs" in [resource for rule in body.get("rules") or () for resource in rule.get("resources", ())]:
                assert key[2] == SYSTEM


def test_the_controllers_account_can_be_given_an_azure_identity(helm: Helm) -> None:
    annotations = {"azure.workload.identity/client-id": "00000000-0000-0000-0000-000000000000"}
    objects = helm.objects({"controller.serviceAccount.annotations": annotations})
    assert objects["ServiceAccount", CONTROLLER, SYSTEM]["metadata"]["annotations"] == annotations
    assert "annotations" not in objects["ServiceAccount", WEBHOOK, SYSTEM]["metadata"]


def test_the_controller_alone_is_told_whom_it_may_dial_and_serve(helm: Helm) -> None:
    told = ("MODELDATA_ALLOWED_HOSTS", "MODELDATA_IDENTITY", "MODELDATA_GRANTS")
    for name in (WEBHOOK, CONTROLLER):
        assert not set(told) & set(variables(helm.objects(), name))
    grants = [
        {"namespaces": ["models"], "endpoint": "https://account.blob.core.windows.net", "containers": ["a-{namespace}"]}
    ]
    values = {
        "storage.allowedHosts": ["azurite.storage.svc:10000", "[::1]:*"],
        "storage.identity": "ManagedIdentity",
        "storage.grants": grants,
    }
    asked = variables(helm.objects(values), CONTROLLER)
    assert not set(told) & set(variables(helm.objects(values), WEBHOOK))
    read = configuration.from_environment(asked)
    assert [each.host for each in read.allowed_hosts] == ["azurite.storage.svc", "::1"]
    assert read.identity is configuration.OwnIdentity.MANAGED
    assert read.grants == api_grants.given(json.dumps(grants))
    assert len(read.grants) == 1


def test_rights_are_held_where_models_run_and_nowhere_else(helm: Helm) -> None:
    everywhere = helm.objects()
    assert names(everywhere, "ClusterRoleBinding") == {
        CONTROLLER,
        WEBHOOK,
        "modeldata-operator-credentials",
        "modeldata-operator-trust",
        "modeldata-operator-retirement",
        "modeldata-operator-retirement-admission",
    }
    some = helm.objects({"namespaces": ["a", "b"]})
    assert names(some, "ClusterRoleBinding") == {
        "modeldata-operator-trust",
        "modeldata-operator-retirement-admission",
    }
    assert {key[2] for key in some if key[0] == "RoleBinding" and key[1] == CONTROLLER} == {"a", "b", SYSTEM}
    wide, narrow = everywhere["ClusterRole", CONTROLLER, ""], some["Role", CONTROLLER, "a"]
    credentials = everywhere["ClusterRole", "modeldata-operator-credentials", ""]
    # What has no namespace can't be read by a Role: labels of namespaces, and StorageGrants.
    cluster = [each for each in wide["rules"] if each["resources"][0] in ("namespaces", "storagegrants")]
    assert [set(each["verbs"]) for each in cluster] == [{"list", "watch"}] * 2
    assert narrow["rules"] == [each for each in wide["rules"] if each not in cluster] + credentials["rules"]


def test_the_right_on_secrets_can_be_given_in_some_namespaces(helm: Helm) -> None:
    objects = helm.objects({"rbac.secretNamespaces": ["a"]})
    assert "modeldata-operator-credentials" not in names(objects, "ClusterRoleBinding")
    binding = objects["RoleBinding", "modeldata-operator-credentials", "a"]
    assert binding["roleRef"]["kind"] == "ClusterRole"


def test_the_webhook_is_asked_about_the_namespaces_that_are_meant(helm: Helm) -> None:
    def expressions(values: Manifest) -> list[Manifest]:
        entry = helm.objects(values)["MutatingWebhookConfiguration", "modeldata-operator", ""]["webhooks"][0]
        return typing.cast("list[Manifest]", entry["namespaceSelector"]["matchExpressions"])

    name = "kubernetes.io/metadata.name"
    assert expressions({}) == [{"key": name, "operator": "NotIn", "values": [SYSTEM, "kube-system"]}]
    assert expressions({"namespaces": ["a"]}) == [{"key": name, "operator": "In", "values": ["a"]}]
    label = {"key": "modeldata.dev/collect", "operator": "In", "values": ["enabled"]}
    assert expressions({"webhook.namespaceSelector": [label]})[1:] == [label]


def test_cert_manager_can_make_the_certificate(helm: Helm) -> None:
    assert not names(helm.objects(), "Certificate")
    objects = helm.objects({"certificates.from": "cert-manager"})
    certificate = objects["Certificate", WEBHOOK, SYSTEM]["spec"]
    assert certificate["secretName"] == "modeldata-webhook-tls"
    assert certificate["dnsNames"] == [f"{WEBHOOK}.{SYSTEM}.svc"]
    assert ("Issuer", certificate["issuerRef"]["name"], SYSTEM) in objects
    configuration = objects["MutatingWebhookConfiguration", "modeldata-operator", ""]
    assert configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] == f"{SYSTEM}/{WEBHOOK}"
    assert variables(objects, CONTROLLER)["MODELDATA_CERTIFICATES"] == "given"
    # No right on what it does not write.
    assert "modeldata-operator-trust" not in names(objects, "ClusterRole")
    (secrets,) = [rule for rule in objects["Role", CONTROLLER, SYSTEM]["rules"] if "secrets" in rule["resources"]]
    assert secrets["verbs"] == ["create"]  # of Jobs that close days
    issuer = {"name": "company", "kind": "ClusterIssuer"}
    given = helm.objects({"certificates": {"from": "cert-manager", "issuerRef": issuer}})
    assert given["Certificate", WEBHOOK, SYSTEM]["spec"]["issuerRef"] == issuer
    assert not names(given, "Issuer")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("rbac.aggregate", "aggregated ClusterRole"),
        ("networkPolicy.enabled", "NetworkPolicy"),
        ("admissionPolicies.enabled", "ValidatingAdmissionPolicy"),
        ("admissionPolicies.enabled", "ValidatingAdmissionPolicyBinding"),
    ],
)
def test_what_is_switched_off_is_not_there(helm: Helm, value: str, kind: str) -> None:
    def there(values: Manifest) -> bool:
        for (found, _, _), body in helm.objects(values).items():
            aggregated = any("aggregate-to" in label for label in body["metadata"].get("labels", {}))
            if found == kind or (kind.startswith("aggregated") and aggregated):
                return True
        return False

    assert there({})
    assert not there({value: False})


def test_each_budget_is_switched_off_by_itself(helm: Helm) -> None:
    for part, name in (("webhook", WEBHOOK), ("controller", CONTROLLER)):
        left = names(helm.objects({f"{part}.podDisruptionBudget": False}), "PodDisruptionBudget")
        assert left == {WEBHOOK, CONTROLLER} - {name}


def test_the_webhook_reaches_the_api_servers_ports(helm: Helm) -> None:
    objects = helm.objects({"networkPolicy.apiServerPorts": [443, 7443]})
    egress = objects["NetworkPolicy", WEBHOOK, SYSTEM]["spec"]["egress"]
    assert egress[-1]["ports"] == [{"port": 443, "protocol": "TCP"}, {"port": 7443, "protocol": "TCP"}]


def test_the_webhooks_service_leads_to_its_pods(helm: Helm) -> None:
    objects = helm.objects()
    labels = objects["Deployment", WEBHOOK, SYSTEM]["spec"]["template"]["metadata"]["labels"]
    spec = objects["Service", WEBHOOK, SYSTEM]["spec"]
    assert spec["selector"].items() <= labels.items()
    ports = {each["name"]: each["containerPort"] for each in container(objects, WEBHOOK)["ports"]}
    assert ports[spec["ports"][0]["targetPort"]] == 10250


def test_monitoring_is_there_when_it_is_asked_for(helm: Helm) -> None:
    kinds = {"ServiceMonitor", "PrometheusRule", "ConfigMap"}
    assert not kinds & {key[0] for key in helm.objects()}
    label = {"release": "prometheus"}
    values = {
        f"monitoring.{part}": {"enabled": True, "labels": label}
        for part in ("serviceMonitor", "prometheusRule", "dashboard")
    }
    objects = helm.objects(values)
    for key, body in objects.items():
        if key[0] in kinds:
            assert body["metadata"]["labels"]["release"] == "prometheus", key
    service = objects["Service", "modeldata-operator-metrics", SYSTEM]
    monitor = objects["ServiceMonitor", "modeldata-operator", SYSTEM]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    for name in (WEBHOOK, CONTROLLER):
        labels = objects["Deployment", name, SYSTEM]["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
    dashboard = objects["ConfigMap", "modeldata-operator-dashboard", SYSTEM]["data"]["modeldata.json"]
    assert json.loads(dashboard)["panels"]


def test_before_it_is_uninstalled_the_operator_retires(helm: Helm) -> None:
    for values, namespaces in (({}, [""]), ({"namespaces": ["a", "b"]}, ["a", "b", SYSTEM])):
        objects = helm.objects(values)
        job = objects["Job", "modeldata-operator-retirement", SYSTEM]
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
        (found,) = job["spec"]["template"]["spec"]["containers"]
        assert found["args"] == ["retire"]
        told = {each["name"]: each.get("value") for each in found["env"]}
        assert told.get("MODELDATA_NAMESPACES") == variables(objects, CONTROLLER).get("MODELDATA_NAMESPACES")
        for namespace in namespaces:
            kind = "Role" if namespace else "ClusterRole"
            rules = objects[kind, "modeldata-operator-retirement", namespace]["rules"]
            assert {"pods", "secrets", "datacollections"} <= {each["resources"][0] for each in rules}
        for key, body in objects.items():
            if "retirement" in key[1]:
                assert body["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete", key


def test_where_the_right_on_secrets_is_limited_the_retirement_has_no_more_of_it(helm: Helm) -> None:
    objects = helm.objects({"rbac.secretNamespaces": ["a"]})

    def on_secrets(kind: str, namespace: str) -> bool:
        rules = objects[kind, "modeldata-operator-retirement", namespace]["rules"]
        return any("secrets" in each["resources"] for each in rules)

    assert not on_secrets("ClusterRole", "")
    assert on_secrets("Role", "a")
    assert on_secrets("Role", SYSTEM)


def test_a_single_replica_lets_its_node_be_drained(helm: Helm) -> None:
    objects = helm.objects({"webhook.replicas": 1, "controller.replicas": 1})
    for name in (WEBHOOK, CONTROLLER):
        budget = objects["PodDisruptionBudget", name, SYSTEM]["spec"]
        assert budget["maxUnavailable"] == 1
        assert "minAvailable" not in budget


def test_two_controllers_are_on_nodes_of_their_own_and_replaced_one_by_one(helm: Helm) -> None:
    spec = helm.objects({})["Deployment", CONTROLLER, SYSTEM]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    (container,) = spec["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_lease_is_called_after_the_controller_where_each_may_use_it(helm: Helm) -> None:
    for values, name in (({}, CONTROLLER), ({"namespaces": ["a"], "fullnameOverride": "mdc"}, "mdc-controller")):
        objects = helm.objects(values)
        rules = [rule for rule in objects["Role", name, SYSTEM]["rules"] if rule["resources"] == ["leases"]]
        assert {tuple(rule["verbs"]): rule.get("resourceNames") for rule in rules} == {
            ("get", "patch"): [name],
            ("create",): None,
        }


def test_helm_test_looks_where_models_run(helm: Helm) -> None:
    for values, namespace in (
        ({}, "default"),
        ({"namespaces": ["a", "b"]}, "a"),
        ({"namespaces": ["a", "b"], "test.namespace": "b"}, "b"),
    ):
        objects = helm.objects(values)
        pod = objects["Pod", "modeldata-operator-test", SYSTEM]
        assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
        (found,) = pod["spec"]["containers"]
        assert found["env"] == [{"name": "TEST_NAMESPACE", "value": namespace}]
        assert ("Role", "modeldata-operator-test", namespace) in objects
        compile(found["command"][-1], "see_a_pod_injected.py", "exec")


def test_in_another_namespace_what_has_none_is_called_after_it(helm: Helm) -> None:
    one = helm.objects({"namespaces": ["a"], "crds.enabled": False}, namespace="ops-a")
    other = helm.objects({"namespaces": ["b"], "crds.enabled": False}, namespace="ops-b")
    # So two stand side by side: none is the other's.
    assert not set(one) & set(other)
    assert ("MutatingWebhookConfiguration", "modeldata-operator-ops-a", "") in one
    for name in (WEBHOOK, CONTROLLER):
        (found,) = one["Deployment", name, "ops-a"]["spec"]["template"]["spec"]["containers"]
        told = {each["name"]: each.get("value") for each in found["env"]}
        assert told["MODELDATA_WEBHOOK_CONFIGURATION"] == "modeldata-operator-ops-a"
    for key, body in one.items():
        if key[0] == "ValidatingAdmissionPolicy":
            assert "system:serviceaccount:ops-a:" in body["spec"]["matchConditions"][0]["expression"]


def test_the_operators_own_namespace_is_none_of_models(helm: Helm) -> None:
    with pytest.raises(Refused, match="namespaces must not have modeldata-system in it"):
        helm.objects({"namespaces": ["a", SYSTEM]})

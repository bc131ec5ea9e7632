"""What the chart can be told so that it fits a platform: names, labels, ports, places, accounts, and additions."""

from __future__ import annotations

import json
import typing

import pytest
import yaml

from modeldata_operator import configuration

from .conftest import CHART, REPOSITORY, Helm, Key, Manifest, Refused

SYSTEM = "modeldata-system"
WEBHOOK, CONTROLLER = "modeldata-operator-webhook", "modeldata-operator-controller"
PARTS = (("webhook", WEBHOOK), ("controller", CONTROLLER))
Objects = dict[Key, Manifest]


def pod(objects: Objects, name: str, kind: str = "Deployment") -> Manifest:
    body = objects[kind, name, SYSTEM]
    return body if kind == "Pod" else typing.cast(Manifest, body["spec"]["template"])


def container(objects: Objects, name: str, kind: str = "Deployment") -> Manifest:
    (found,) = pod(objects, name, kind)["spec"]["containers"]
    return typing.cast(Manifest, found)


def told(objects: Objects, name: str, kind: str = "Deployment") -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container(objects, name, kind)["env"]}


def every_pod(objects: Objects, fullname: str = "modeldata-operator") -> list[tuple[str, Manifest]]:
    kinds = {"webhook": "Deployment", "controller": "Deployment", "retirement": "Job", "test": "Pod"}
    return [(part, pod(objects, f"{fullname}-{part}", kind)) for part, kind in kinds.items()]


def test_the_names_of_an_installation_can_be_chosen_and_its_processes_are_told(helm: Helm) -> None:
    objects = helm.objects({"fullnameOverride": "mdc", "certificates.from": "cert-manager"})
    left = {key for key in objects if not key[1].startswith("mdc") and key[0] != "CustomResourceDefinition"}
    assert not left
    text = helm.text({"fullnameOverride": "mdc", "crds.enabled": False})
    for name in (WEBHOOK, CONTROLLER, "modeldata-webhook-tls", "modeldata-operator-retirement"):
        assert name not in text, name
    for part, kind in (("webhook", "Deployment"), ("controller", "Deployment"), ("retirement", "Job")):
        config = configuration.from_environment(
            {**told(objects, f"mdc-{part}", kind), "MODELDATA_OPERATOR_NAMESPACE": SYSTEM}
        )
        assert ("Deployment", config.webhook_name, SYSTEM) in objects
        assert ("Service", config.webhook_name, SYSTEM) in objects
        assert ("Deployment", config.controller.name, SYSTEM) in objects
        assert ("MutatingWebhookConfiguration", config.webhook_configuration, "") in objects
        certificate = objects["Certificate", "mdc-webhook", SYSTEM]["spec"]
        assert certificate["secretName"] == config.certificate.name
        assert certificate["dnsNames"] == [config.webhook_host]


def test_with_the_usual_names_the_processes_find_what_there_is(helm: Helm) -> None:
    objects = helm.objects()
    config = configuration.from_environment({**told(objects, WEBHOOK), "MODELDATA_OPERATOR_NAMESPACE": SYSTEM})
    assert ("Deployment", config.webhook_name, SYSTEM) in objects
    assert ("Deployment", config.controller.name, SYSTEM) in objects
    assert ("MutatingWebhookConfiguration", config.webhook_configuration, "") in objects


def test_two_with_names_of_their_own_share_nothing(helm: Helm) -> None:
    one, other = (
        helm.objects({"fullnameOverride": name, "namespaces": [name], "crds.enabled": False}) for name in ("a", "b")
    )
    assert not set(one) & set(other)


def test_everything_has_the_standard_labels(helm: Helm) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    values = {f"monitoring.{part}.enabled": True for part in ("serviceMonitor", "prometheusRule", "dashboard")}
    for (kind, name, _), body in helm.objects({**values, "certificates.from": "cert-manager"}).items():
        if kind == "CustomResourceDefinition":
            continue
        labels = body["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "modeldata", (kind, name)
        assert labels["app.kubernetes.io/name"].startswith("modeldata-operator"), (kind, name)
        if kind != "Pod":
            assert labels["app.kubernetes.io/part-of"] == "modeldata", (kind, name)
            assert labels["app.kubernetes.io/managed-by"] == "Helm", (kind, name)
            assert labels["helm.sh/chart"] == f"modeldata-operator-{version}", (kind, name)
            assert labels["app.kubernetes.io/version"], (kind, name)


def test_a_new_version_of_the_chart_alone_restarts_nothing(helm: Helm) -> None:
    objects = helm.objects()
    for _, name in PARTS:
        labels = pod(objects, name)["metadata"]["labels"]
        assert {"helm.sh/chart", "app.kubernetes.io/version"}.isdisjoint(labels)
        assert objects["Deployment", name, SYSTEM]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_common_labels_are_on_all_objects_and_pods(helm: Helm) -> None:
    values = {f"monitoring.{part}.enabled": True for part in ("serviceMonitor", "prometheusRule", "dashboard")}
    label = {"team": "platform", "app.kubernetes.io/name": "mine"}
    objects = helm.objects({**values, "commonLabels": label})
    for key, body in objects.items():
        assert body["metadata"]["labels"]["team"] == "platform", key
    for part, found in every_pod(objects):
        assert found["metadata"]["labels"]["team"] == "platform", part
        # What selects them is not the user's to change.
        assert found["metadata"]["labels"]["app.kubernetes.io/name"] == f"modeldata-operator-{part}"


def test_pods_take_labels_and_annotations_of_their_own(helm: Helm) -> None:
    for part, name in PARTS:
        values = {f"{part}.podLabels": {"a": "b"}, f"{part}.podAnnotations": {"c": "d"}}
        objects = helm.objects(values)
        assert pod(objects, name)["metadata"]["labels"]["a"] == "b"
        assert pod(objects, name)["metadata"]["annotations"] == {"c": "d"}
        ((_, other),) = [each for each in PARTS if each[0] != part]
        assert "a" not in pod(objects, other)["metadata"]["labels"]
        assert "annotations" not in pod(objects, other)["metadata"]


def test_each_part_has_a_place_of_its_own_else_that_of_all(helm: Helm) -> None:
    tolerations = [{"key": "all", "operator": "Exists"}]
    everywhere = {
        "nodeSelector": {"pool": "all"},
        "tolerations": tolerations,
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "all",
    }
    for part, name in PARTS:
        own: Manifest = {
            "nodeSelector": {"pool": part},
            "tolerations": [{"key": part, "operator": "Exists"}],
            "affinity": {"podAffinity": {}},
            "priorityClassName": part,
        }
        objects = helm.objects({**everywhere, **{f"{part}.{key}": value for key, value in own.items()}})
        assert own.items() <= pod(objects, name)["spec"].items()
        ((_, other),) = [each for each in PARTS if each[0] != part]
        assert everywhere.items() <= pod(objects, other)["spec"].items()


def test_constraints_on_the_spread_are_of_the_parts_own_pods_unless_they_say_otherwise(helm: Helm) -> None:
    constraint = {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    selector = {"matchLabels": {"my": "own"}}
    for part, name in PARTS:
        given = [constraint, {**constraint, "labelSelector": selector}]
        objects = helm.objects({f"{part}.topologySpreadConstraints": given})
        first, second = pod(objects, name)["spec"]["topologySpreadConstraints"]
        own = first.pop("labelSelector")["matchLabels"]
        assert first == constraint
        assert own.items() <= pod(objects, name)["metadata"]["labels"].items()
        assert second["labelSelector"] == selector
    usual = helm.objects()
    for _, name in PARTS:
        (usual_constraint,) = pod(usual, name)["spec"]["topologySpreadConstraints"]
        assert usual_constraint["topologyKey"] == "kubernetes.io/hostname"


@pytest.mark.parametrize(("part", "name"), PARTS)
@pytest.mark.parametrize("namespaces", [[], ["models"]])
def test_an_account_has_the_name_and_annotations_that_it_is_given(
    helm: Helm, part: str, name: str, namespaces: list[str]
) -> None:
    account = {"name": "chosen", "annotations": {"iam": "role"}}
    objects = helm.objects({f"{part}.serviceAccount": account, "namespaces": namespaces})
    assert objects["ServiceAccount", "chosen", SYSTEM]["metadata"]["annotations"] == {"iam": "role"}
    assert ("ServiceAccount", name, SYSTEM) not in objects
    follow_the_account(objects, part, name)
    given = helm.objects({f"{part}.serviceAccount": {"create": False, "name": "chosen"}, "namespaces": namespaces})
    assert ("ServiceAccount", "chosen", SYSTEM) not in given
    follow_the_account(given, part, name)
    with pytest.raises(Refused, match=f"{part}.serviceAccount.name is needed"):
        helm.objects({f"{part}.serviceAccount": {"create": False}})


def follow_the_account(objects: Objects, part: str, name: str) -> None:
    """Its pods run under it, its rights are bound to it, and the policies hold it."""
    assert pod(objects, name)["spec"]["serviceAccountName"] == "chosen"
    subjects = [
        subject
        for (kind, _, _), body in objects.items()
        if kind.endswith("RoleBinding")
        for subject in body["subjects"]
    ]
    assert {"kind": "ServiceAccount", "name": "chosen", "namespace": SYSTEM} in subjects
    assert name not in {subject["name"] for subject in subjects}
    policies = [body for (kind, _, _), body in objects.items() if kind == "ValidatingAdmissionPolicy"]
    assert policies
    for policy in policies:
        expression = policy["spec"]["matchConditions"][0]["expression"]
        assert f"'system:serviceaccount:{SYSTEM}:chosen'" in expression
        assert f":{name}'" not in expression


def test_the_api_server_reaches_the_webhook_at_the_port_that_firewalls_let_through(helm: Helm) -> None:
    for values, ports in (
        ({}, (10250, 8080, 8081)),
        ({"webhook.port": 9443, "webhook.healthPort": 9080}, (9443, 9080, 8081)),
    ):
        objects = helm.objects(values)
        found = {each["name"]: each["containerPort"] for each in container(objects, WEBHOOK)["ports"]}
        assert (found["admission"], found["health"], found["metrics"]) == ports
        service = objects["Service", WEBHOOK, SYSTEM]["spec"]["ports"][0]
        assert found[service["targetPort"]] == ports[0]
        config = configuration.from_environment(told(objects, WEBHOOK))
        assert (config.webhook_port, config.health_port, config.metrics_port) == ports


def test_the_port_for_prometheus_can_be_another(helm: Helm) -> None:
    objects = helm.objects({"webhook.metricsPort": 9081})
    assert {"name": "metrics", "containerPort": 9081} in container(objects, WEBHOOK)["ports"]
    assert told(objects, WEBHOOK)["MODELDATA_METRICS_PORT"] == "9081"


def test_on_the_nodes_network_the_webhook_keeps_off_the_kubelets_port(helm: Helm) -> None:
    with pytest.raises(Refused, match=r"webhook.port must be another one with webhook.hostNetwork"):
        helm.text({"webhook.hostNetwork": True})
    objects = helm.objects({"webhook.hostNetwork": True, "webhook.port": 9443})
    spec = pod(objects, WEBHOOK)["spec"]
    assert (spec["hostNetwork"], spec["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    # Its successor needs the port that it holds.
    strategy = objects["Deployment", WEBHOOK, SYSTEM]["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxUnavailable": 1, "maxSurge": 0}
    assert "hostNetwork" not in pod(objects, CONTROLLER)["spec"]
    assert "hostNetwork" not in pod(helm.objects(), WEBHOOK)["spec"]


def test_the_webhooks_ports_differ(helm: Helm) -> None:
    with pytest.raises(Refused, match="must differ"):
        helm.text({"webhook.port": 8080})


def test_aks_is_told_to_leave_the_webhooks_configuration_alone(helm: Helm) -> None:
    key = ("MutatingWebhookConfiguration", "modeldata-operator", "")
    for values in ({}, {"certificates.from": "cert-manager"}):
        assert helm.objects(values)[key]["metadata"]["annotations"]["admissions.enforcer/disabled"] == "true"


def test_the_webhooks_patience_and_pods_are_the_users_choice(helm: Helm) -> None:
    def entry(values: Manifest) -> Manifest:
        found = helm.objects(values)["MutatingWebhookConfiguration", "modeldata-operator", ""]["webhooks"]
        return typing.cast(Manifest, found[0])

    assert entry({})["timeoutSeconds"] == 5
    assert "objectSelector" not in entry({})
    selector = {"matchLabels": {"collect": "yes"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}
    found = entry({"webhook.timeoutSeconds": 3, "webhook.objectSelector": selector})
    assert (found["timeoutSeconds"], found["objectSelector"]) == (3, selector)


def test_security_contexts_can_be_changed_or_taken_away(helm: Helm) -> None:
    for part, found in every_pod(helm.objects()):
        assert found["spec"]["securityContext"]["runAsUser"] == 65532, part
        assert found["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"], part
    # What OpenShift chooses itself, from the range of the namespace.
    changed = helm.objects({f"podSecurityContext.{name}": None for name in ("runAsUser", "runAsGroup", "fsGroup")})
    for part, found in every_pod(changed):
        assert found["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }, part
    emptied = helm.objects({"podSecurityContext": None, "containerSecurityContext": None})
    for part, found in every_pod(emptied):
        assert "securityContext" not in found["spec"], part
        assert "securityContext" not in found["spec"]["containers"][0], part
    other = helm.objects({"containerSecurityContext.readOnlyRootFilesystem": False})
    assert container(other, WEBHOOK)["securityContext"]["readOnlyRootFilesystem"] is False


def test_dns_may_listen_at_other_ports(helm: Helm) -> None:
    objects = helm.objects({"networkPolicy.dnsPorts": [53, 5353]})
    for _, name in PARTS:
        ports = objects["NetworkPolicy", name, SYSTEM]["spec"]["egress"][0]["ports"]
        assert {each["port"] for each in ports if each["protocol"] == "UDP"} == {53, 5353}


def test_variables_reach_the_containers_that_they_are_for(helm: Helm) -> None:
    proxy = [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]
    objects = helm.objects({"extraEnv": proxy})
    for part, found in every_pod(objects):
        assert proxy[0] in found["spec"]["containers"][0]["env"], part
    for part, name in PARTS:
        objects = helm.objects({f"{part}.extraEnv": proxy})
        having = [other for other, found in every_pod(objects) if proxy[0] in found["spec"]["containers"][0]["env"]]
        assert having == [part], name


def test_options_reach_the_processes_and_are_theirs(helm: Helm) -> None:
    for part, name in PARTS:
        objects = helm.objects({f"{part}.extraArgs": ["--log-level=DEBUG"]})
        role, *options = container(objects, name)["args"]
        assert role == part
        read = configuration.from_environment(configuration.with_options(options, told(objects, name)))
        assert read.log_level == "DEBUG"
        assert len(container(helm.objects(), name)["args"]) == 1


def test_volumes_can_be_added(helm: Helm) -> None:
    volume, mount = {"name": "ca", "configMap": {"name": "ca"}}, {"name": "ca", "mountPath": "/etc/ssl/company"}
    for part, name in PARTS:
        objects = helm.objects({f"{part}.extraVolumes": [volume], f"{part}.extraVolumeMounts": [mount]})
        assert volume in pod(objects, name)["spec"]["volumes"]
        assert mount in container(objects, name)["volumeMounts"]
        assert ("tls" in json.dumps(pod(objects, name)["spec"]["volumes"])) == (part == "webhook")


def test_objects_can_be_added(helm: Helm) -> None:
    extra = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "{{ .Release.Name }}-more"},
        "data": {"a": "b"},
    }
    objects = helm.objects({"extraObjects": [extra]})
    assert objects["ConfigMap", "modeldata-more", ""]["data"] == {"a": "b"}


def test_logs_can_be_json(helm: Helm) -> None:
    assert "MODELDATA_LOG_FORMAT" not in told(helm.objects(), WEBHOOK)
    objects = helm.objects({"logFormat": "json"})
    for _, name in PARTS:
        assert configuration.from_environment(told(objects, name)).json_logs


def test_the_service_monitor_can_stand_elsewhere_and_relabel(helm: Helm) -> None:
    on = {"monitoring.serviceMonitor.enabled": True}
    usual = helm.objects(on)["ServiceMonitor", "modeldata-operator", SYSTEM]["spec"]
    assert {"relabelings", "metricRelabelings"}.isdisjoint(usual["endpoints"][0])
    rules = [{"action": "labeldrop", "regex": "pod"}], [{"action": "drop", "sourceLabels": ["queue"]}]
    given = {"namespace": "monitoring", "relabelings": rules[0], "metricRelabelings": rules[1], "interval": "1m"}
    objects = helm.objects({**on, **{f"monitoring.serviceMonitor.{name}": value for name, value in given.items()}})
    spec = objects["ServiceMonitor", "modeldata-operator", "monitoring"]["spec"]
    assert spec["namespaceSelector"] == {"matchNames": [SYSTEM]}
    (endpoint,) = spec["endpoints"]
    assert (endpoint["relabelings"], endpoint["metricRelabelings"], endpoint["interval"]) == (*rules, "1m")


def rules_of(objects: Objects, name: str, namespace: str) -> list[Manifest]:
    groups = objects["PrometheusRule", name, namespace]["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_alerts_look_at_this_installation_and_lead_to_their_runbooks(helm: Helm) -> None:
    on = {"monitoring.prometheusRule.enabled": True}
    usual = rules_of(helm.objects(on), "modeldata-operator", SYSTEM)
    assert usual == [
        rule for group in yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"] for rule in group["rules"]
    ]
    url = "https://wiki.example/runbooks.md"
    values = {**on, "fullnameOverride": "mdc", "monitoring.prometheusRule.runbookUrl": url}
    other = rules_of(helm.objects(values, namespace="ops"), "mdc", "ops")
    assert [rule["alert"] for rule in other] == [rule["alert"] for rule in usual]
    text = json.dumps(other)
    assert "modeldata-system" not in text
    assert r"up{job=\"mdc-metrics\", namespace=\"ops\"}" in text
    headings = [line.removeprefix("## ") for line in (REPOSITORY / "docs/runbooks.md").read_text().splitlines()]
    for rule in other:
        assert rule["annotations"]["runbook_url"] == f"{url}#{rule['alert'].lower()}"
        assert rule["alert"] in headings


def test_nothing_of_a_mesh_keeps_the_jobs_from_ending(helm: Helm) -> None:
    objects = helm.objects()
    for name, kind in (("modeldata-operator-retirement", "Job"), ("modeldata-operator-test", "Pod")):
        metadata = pod(objects, name, kind)["metadata"]
        assert metadata["labels"]["sidecar.istio.io/inject"] == "false"
        assert metadata["annotations"]["linkerd.io/inject"] == "disabled"
        # Prometheus' Service leaves them out.
        assert "app.kubernetes.io/part-of" not in metadata["labels"]

"""A DataCollection is parsed once; what got past the CRD and makes no sense is reported by its field, never obeyed."""

from __future__ import annotations

import pytest

from modeldata_operator.api import resources
from modeldata_operator.api.resources import AccountSecret, Rollout, SasTokenSecret


def test_a_secret_with_a_key_or_one_with_a_sas(build):
    assert build.collection().storage.credential == AccountSecret("account")
    given = {"credential": {"secretRef": None, "sasTokenSecretRef": {"name": "writer"}}}
    assert build.collection(spec={"storage": given}).storage.credential == SasTokenSecret("writer", "sas")


def test_deployments_are_restarted_unless_someone_wants_it_otherwise(build):
    assert build.collection().rollout is Rollout.AUTOMATIC
    assert build.collection(spec={"rollout": "Manual"}).rollout is Rollout.MANUAL


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"storage": {"credential": {"secretRef": None}}}, "spec.storage.credential must be exactly one of"),
        ({"storage": {"credential": {"sasTokenSecretRef": {"name": "x"}}}}, "credential must be exactly one of"),
        ({"storage": {"credential": {"secretRef": {"name": ""}}}}, "spec.storage.credential.secretRef.name"),
        ({"storage": {"endpoint": "file:///var/lib/kubelet"}}, "spec.storage.endpoint must be an http or https URL"),
        ({"storage": {"file": "PerNode"}}, "spec.storage.file is 'PerNode': use Shared or PerPod"),
        ({"sampling": {"percent": 0}}, "spec.sampling.percent must be a whole number from 1 to 100"),
        ({"sampling": {"percent": True}}, "spec.sampling.percent must be a whole number from 1 to 100"),
        ({"redact": {"ssn": "Drop"}}, "spec.redact must be a list"),
        ({"redact": [{"feature": "ssn"}]}, "spec.redact[0].action is None: use Drop or Hash"),
        ({"redact": [{"feature": "", "action": "Drop"}]}, "spec.redact[0].feature must be a non-empty string"),
        (
            {"redact": [{"feature": "a", "action": "Drop", "onMissing": "Wait"}]},
            "spec.redact[0].onMissing is 'Wait': use Send or Hold",
        ),
        ({"columns": ["Leading"]}, "spec.columns is ['Leading']: use Leading or AzureML"),
        ({"flushInterval": "soon"}, "spec.flushInterval is 'soon': write a duration such as 5s or 2m"),
        ({"spool": {"size": "much"}}, "spec.spool.size is 'much': write a quantity such as 256Mi"),
        ({"rollout": "Never"}, "spec.rollout is 'Never': use Automatic or Manual"),
    ],
)
def test_nonsense_is_reported_by_its_field(build, spec, problem):
    parsed = resources.collection(build.collection_manifest(spec=spec))
    assert isinstance(parsed, resources.UnreadableCollection)
    assert problem in parsed.problem

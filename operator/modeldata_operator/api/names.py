"""Every name that others see: labels, annotations, variables, volumes. The contract is docs/contract and design §5."""

GROUP = "modeldata.dev"
VERSION = "v1alpha1"
PLURAL = "datacollections"
KIND = "DataCollection"
GRANT_PLURAL = "storagegrants"
GRANT_KIND = "StorageGrant"
API_VERSION = f"{GROUP}/{VERSION}"

FIELD_MANAGER = "modeldata-operator"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
APP_VERSION_LABEL = "app.kubernetes.io/version"
TEMPLATE_HASH_LABEL = "pod-template-hash"
ROLLOUT_HASH_LABEL = "rollouts-pod-template-hash"  # of argoproj.io
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
TEMPLATE_GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
REVISION_HASH_LABEL = "controller-revision-hash"
POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
TEMPLATE_GENERATION_LABEL = "pod-template-generation"

# What a user writes.
COLLECT_ANNOTATION = "collect_model_data"
CHOICE_ANNOTATION = f"{GROUP}/data-collection"
MODEL_VERSION_ANNOTATION = f"{GROUP}/model-version"
DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
SAFE_TO_EVICT_ANNOTATION = "cluster-autoscaler.kubernetes.io/safe-to-evict"
SAFE_VOLUMES_ANNOTATION = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"

# What the operator writes.
COLLECTION_LABEL = f"{GROUP}/data-collection"
COLLECTION_NAMESPACE_LABEL = f"{GROUP}/data-collection-namespace"
INJECTED_ANNOTATION = f"{GROUP}/injected"
SETTINGS_ANNOTATION = f"{GROUP}/settings"
RESTARTED_FOR_ANNOTATION = f"{GROUP}/restarted-for"
ROTATION_ANNOTATION = f"{GROUP}/rotation"
EXPIRES_ANNOTATION = f"{GROUP}/expires-at"
HASH_KEY_OF_ANNOTATION = f"{GROUP}/hash-key-of"
SIGNED_BY_ANNOTATION = f"{GROUP}/signed-by"
"""The uid of the collection for whose pods in this namespace alone the key of hashes was made."""
CLOSING_LABEL = f"{GROUP}/closing"
"""Of a Job that closes days, of its pod and its Secret: the Job's name."""
CLOSED_NAMESPACE_LABEL = f"{GROUP}/closed-namespace"
COLLECTION_UID_ANNOTATION = f"{GROUP}/data-collection-uid"
GENERATION_ANNOTATION = f"{GROUP}/generation"
TRIES_ANNOTATION = f"{GROUP}/tries"

DIRECTORY = "/var/run/modeldata"
DIRECTORY_VARIABLE = "MODELDATA_DIR"
POD_UID_VARIABLE = "MODELDATA_POD_UID"
POD_NAME_VARIABLE = "MODELDATA_POD_NAME"
ENABLED_VARIABLE = "AML_MODEL_DC_STORAGE_ENABLED"

SETTINGS_VOLUME = "modeldata-settings"
CREDENTIAL_VOLUME = "modeldata-credential"
SPOOL_VOLUME = "modeldata-spool"
IDENTITY_VOLUME = "modeldata-identity-token"
SETTINGS_FILE = "settings.json"
SAS_KEY = "sas"
HASH_KEY = "hash-key"
TOKEN_FILE = "token"  # noqa: S105 - a file's name

DEFAULT_COLLECTION = "default"
WEBHOOK_NAME = "modeldata-operator-webhook"
CONTROLLER_NAME = "modeldata-operator-controller"
WEBHOOK_CONFIGURATION = "modeldata-operator"
WEBHOOK_ENTRY = "pods.modeldata.dev"
WEBHOOK_PATH = "inject"
CERTIFICATE_SECRET = "modeldata-webhook-tls"  # noqa: S105 - a Secret's name, not a secret


def credential_secret(*, collection_namespace: str, collection_name: str, pod_namespace: str) -> str:
    """Name the Secret that carries a collection's SAS in a pod's namespace.

    A collection of another namespace can only be the operator's own default, so its Secret has a name that the CRD
    forbids to collections of the pod's namespace.
    """
    if collection_namespace == pod_namespace:
        return f"modeldata-{collection_name}"
    return f"modeldata-operator-{collection_name}"

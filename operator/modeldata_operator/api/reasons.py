"""Why something is or is not collected: one vocabulary for conditions, Events and logs."""

from enum import StrEnum


class Reason(StrEnum):
    """A CamelCase reason, as Kubernetes conditions and Events carry it."""

    # Which collection serves a pod.
    NAMED = "Named"
    SELECTED = "Selected"
    DEFAULT = "Default"
    OPERATOR_DEFAULT = "OperatorDefault"
    NOT_SELECTED = "NotSelected"
    OPTED_OUT = "OptedOut"
    INVALID_ANNOTATION = "InvalidAnnotation"
    COLLECTION_NOT_FOUND = "CollectionNotFound"
    CONFLICT = "Conflict"
    SELECTOR_UNUSED = "SelectorUnused"
    MIRROR_POD = "MirrorPod"

    # Whether a pod can carry what collecting needs.
    CONTAINER_NOT_FOUND = "ContainerNotFound"
    NAME_TAKEN = "NameTaken"
    PATH_TAKEN = "PathTaken"
    NO_ROOM = "NoRoom"
    VIRTUAL_NODE = "VirtualNode"
    WINDOWS_NODE = "WindowsNode"

    # Whether the pods can get at the storage.
    CREDENTIALS_VALID = "CredentialsValid"
    WORKLOAD_IDENTITY = "WorkloadIdentity"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105
    SECRET_INVALID = "SecretInvalid"  # noqa: S105
    SECRET_NOT_OURS = "SecretNotOurs"  # noqa: S105
    SECRET_REFUSED = "SecretRefused"  # noqa: S105
    CREDENTIALS_UNKNOWN = "CredentialsUnknown"
    STORAGE_UNCHECKED = "StorageUnchecked"
    DEFAULT_UNAVAILABLE = "DefaultUnavailable"
    STORAGE_UNREACHABLE = "StorageUnreachable"
    STORAGE_REFUSED = "StorageRefused"
    KEY_REJECTED = "KeyRejected"
    IDENTITY_NOT_GRANTED = "IdentityNotGranted"
    IDENTITY_UNAVAILABLE = "IdentityUnavailable"
    IDENTITY_REJECTED = "IdentityRejected"
    CLOCK_SKEW = "ClockSkew"

    # What is wrong with a SAS that somebody else renews.
    SAS_EXPIRED = "SasExpired"
    SAS_EXPIRES_SOON = "SasExpiresSoon"
    SAS_NOT_VALID_YET = "SasNotValidYet"
    SAS_INSUFFICIENT = "SasInsufficient"
    SAS_REJECTED = "SasRejected"

    # Whether days are closed.
    CLOSED = "Closed"
    CLOSING = "Closing"
    WAITING_TO_CLOSE = "WaitingToClose"
    CLOSING_SUSPENDED = "ClosingSuspended"
    CLOSING_FAILED = "ClosingFailed"
    CLOSING_REFUSED = "ClosingRefused"
    CLOSING_NOT_GRANTED = "ClosingNotGranted"
    CLOSING_UNAVAILABLE = "ClosingUnavailable"
    NO_CREDENTIAL = "NoCredential"
    STORAGE_NOT_ALLOWED = "StorageNotAllowed"

    # How the pods of a collection are doing.
    COLLECTING = "Collecting"
    SWITCHED_OFF = "SwitchedOff"
    NO_PODS = "NoPods"
    ALL_INJECTED = "AllInjected"
    PUSHING_SETTINGS = "PushingSettings"
    SETTINGS_REFUSED = "SettingsRefused"
    STATUS_REFUSED = "StatusRefused"
    WAITING_FOR_RESTART = "WaitingForRestart"
    WAITING_FOR_TURN = "WaitingForTurn"
    RESTART_NEEDED = "RestartNeeded"
    RESTARTED_IN_VAIN = "RestartedInVain"
    ROLLOUT_PAUSED = "RolloutPaused"
    ROLLOUT_RUNNING = "RolloutRunning"
    ROLLOUT_STOPPED = "RolloutStopped"
    WORKLOAD_UNAVAILABLE = "WorkloadUnavailable"
    WEBHOOK_UNAVAILABLE = "WebhookUnavailable"
    WEBHOOK_UNREACHABLE = "WebhookUnreachable"
    WEBHOOK_MISSED = "WebhookMissed"
    RESTART_NOT_PROVEN = "RestartNotProven"
    RESTART_REFUSED = "RestartRefused"
    REPLACING_PODS = "ReplacingPods"
    EVICTION_WAITS = "EvictionWaits"
    RESTARTED = "Restarted"
    POD_EVICTED = "PodEvicted"
    SETTLED = "Settled"
    INVALID = "Invalid"

"""The collector of azureml-monitoring: its signature, its constants and the attributes that scripts read."""

from __future__ import annotations

import os
import typing

import modeldata

SERVICE_VARIABLE = "SERVICE_NAME"
_DEFAULT = "default"
_DEFAULT_WORKSPACE = "default/default/default"


class ModelDataCollector(modeldata.ModelDataCollector):
    """``modeldata.ModelDataCollector`` for scripts written for ``azureml.monitoring``.

    By position, the order is that of azureml-monitoring 0.1.0a15 and later. What earlier ones called otherwise is
    understood by keyword.

    Args:
        model_name: the model's name, part of the file's path.
        designation: what is collected: ``inputs``, ``predictions`` or any other text.
        feature_names: names of the columns. Fewer or more names than the data has columns are no error.
        workspace: ``<subscription>/<resource group>/<workspace>``, made lower-case as the original did.
        webservice_name: if not given, the environment's ``SERVICE_NAME``, else as configured in the cluster.
        model_version: if not given, as configured in the cluster.
        collection_name: accepted, and shown as ``filename``; files are called ``data.csv``.
        identifier: what ``designation`` was called before 0.1.0a15.
        model_id: accepted for scripts that pass it.
        model_management_account_id: what ``workspace`` was called by ``azureml.datacollector``.

    """

    AML_DC_CORRELATION_HEADER = "$aml_dc_correlation_id"
    AML_DC_SCORING_TIMESTAMP_HEADER = "$aml_dc_scoring_timestamp"
    AML_DC_BOUNDARY_HEADER = "$aml_dc_boundary"
    AML_WORKSPACE_HEADER = "$aml_workspace"
    AML_SERVICE_NAME_HEADER = "$aml_service_name"
    AML_MODEL_NAME_HEADER = "$aml_model_name"
    AML_MODEL_VERSION_HEADER = "$aml_model_version"
    AML_REQUEST_ID_HEADER = "$aml_request_id"

    def __init__(  # noqa: PLR0917 (scripts pass them by position)
        self,
        model_name: str,
        designation: str = _DEFAULT,
        feature_names: typing.Sequence[str] | None = None,
        workspace: str = _DEFAULT_WORKSPACE,
        webservice_name: str = _DEFAULT,
        model_version: str = _DEFAULT,
        collection_name: str = _DEFAULT,
        *,
        identifier: str | None = None,
        model_id: str = _DEFAULT,
        model_management_account_id: str | None = None,
    ) -> None:
        if model_management_account_id:
            workspace = _workspace(str(model_management_account_id))
        if not webservice_name or webservice_name == _DEFAULT:
            webservice_name = os.environ.get(SERVICE_VARIABLE) or _DEFAULT
        super().__init__(
            model_name,
            designation,
            feature_names,
            str(workspace or _DEFAULT_WORKSPACE).lower(),
            webservice_name,
            model_version or _DEFAULT,
            collection_name or _DEFAULT,
            identifier=identifier,
            model_id=model_id or _DEFAULT,
        )
        # Public in the original, so scripts read them in their logs; nothing here depends on them.
        self.workspace_name = self.workspace.rpartition("/")[2]
        self.service_name = self.webservice_name
        self.service_internal_id = os.environ.get("SERVICE_ID", _DEFAULT)
        self.compute_name = os.environ.get("COMPUTE_NAME", _DEFAULT)
        self.compute_type = os.environ.get("COMPUTE_TYPE", _DEFAULT)
        self.compute_location = os.environ.get("COMPUTE_LOCATION", _DEFAULT)
        self.model_internal_id = self.model_id
        self.workspace_internal_id = _DEFAULT
        self.aml_dc_hour_boundary = False
        self.model_config_map: dict[str, object] = {}
        self.data_collector_storage_path = ""
        self.filename = self.collection_name
        self.headersUpdated = False


def _workspace(account_id: str) -> str:
    """Return ``<subscription>/<resource group>/<account>`` of an Azure resource id; any other text as it is."""
    parts = account_id.strip("/").split("/")
    named = dict(zip((part.lower() for part in parts[::2]), parts[1::2]))
    wanted = [named.get(key) for key in ("subscriptions", "resourcegroups", "accounts")]
    return "/".join(part for part in wanted if part) if all(wanted) else account_id

"""``from azureml.datacollector import ModelDataCollector``, the import name before ``azureml.monitoring``."""

from __future__ import annotations

import typing

from ..monitoring import modeldatacollector

__all__ = ["ModelDataCollector"]

_UNKNOWN = "unknown"


class ModelDataCollector(modeldatacollector.ModelDataCollector):
    """The collector of ``azureml.monitoring`` with the order of arguments that this name had.

    Args:
        model_name: the model's name, part of the file's path.
        identifier: what is collected: ``inputs``, ``predictions`` or any other text.
        feature_names: names of the columns. Fewer or more names than the data has columns are no error.
        model_management_account_id: an Azure resource id; its subscription, resource group and account are the
            workspace.
        webservice_name: if not given, the environment's ``SERVICE_NAME``, else as configured in the cluster.
        model_id: accepted for scripts that pass it.
        model_version: if not given, as configured in the cluster.
        others: what ``azureml.monitoring`` takes by keyword: ``designation``, ``workspace``, ``collection_name``.

    """

    def __init__(  # noqa: PLR0917 (scripts pass them by position)
        self,
        model_name: str,
        identifier: str | None = None,
        feature_names: typing.Sequence[str] | None = None,
        model_management_account_id: str | None = _UNKNOWN,
        webservice_name: str = _UNKNOWN,
        model_id: str = _UNKNOWN,
        model_version: str = _UNKNOWN,
        **others: str,
    ) -> None:
        super().__init__(
            model_name,
            feature_names=feature_names,
            webservice_name=_known(webservice_name),
            model_version=_known(model_version),
            identifier=identifier,
            model_id=_known(model_id),
            model_management_account_id=None
            if model_management_account_id == _UNKNOWN
            else model_management_account_id,
            **others,
        )


def _known(value: str) -> str:
    return "" if value == _UNKNOWN else value

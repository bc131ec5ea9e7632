"""A name that somebody else wrote is asked for as it stands, or not at all."""

from __future__ import annotations

import pytest

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.kube.cluster import Cluster
from modeldata_operator.kube.connection import Connection
from modeldata_operator.kube.failures import ApiError


class Client:
    """Nothing is to come this far."""

    class configuration:  # noqa: N801 - as the client library has it
        client_session_kwargs = None
        trace_configs = None

    class rest_client:  # noqa: N801
        maxsize = 0

    async def param_serialize(self, **request):
        raise AssertionError(request)


@pytest.mark.parametrize(
    "name", ["../../others/secrets/account", "..", ".", "", "a/../b", "a?watch=true", "a#b", "a%2fb", "a b", "ä"]
)
@pytest.mark.parametrize("kind", ["get_secret", "get_pod", "get_deployment", "delete_deployment"])
async def test_a_name_that_leads_elsewhere_is_not_asked_for(kind, name):
    with pytest.raises(ApiError, match="no object can be called so"):
        await getattr(Cluster(Connection(Client())), kind)(ObjectKey("models", name))

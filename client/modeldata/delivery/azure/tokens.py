"""The pod's own Azure identity: tokens for Blob Storage, in exchange for the service account's token.

azure-identity is an extra of this package, imported by the shipper's thread when rows are to be sent this way: 0.1 s
and 4 MB beside azure-storage-blob. Who to sign in as stands in the settings and not in the environment, which is the
model's: it may have an identity of its own.
"""

from __future__ import annotations

import re
import time
import typing

from ... import settings
from ...threads import forking, importing
from . import answers

if typing.TYPE_CHECKING:
    import pathlib

    import azure.core.credentials

PACKAGE = "azure-identity"
INSTALL = "pip install 'modeldata[workload-identity]'"


class Tokens:
    """Gives the SDK's clients their tokens; what goes wrong is a ``answers.NotDone``, raised before anything is sent.

    Args:
        identity: who to sign in as.
        file: the service account's token.

    Raises:
        answers.NotDone: azure-identity is not installed.

    """

    def __init__(self, identity: settings.WorkloadIdentity, file: pathlib.Path) -> None:
        self._identity = identity
        self._file = file
        with forking.gate.here():  # the constructor imports too
            try:
                importing.load("azure.core.exceptions", "azure.identity")
                import azure.core.exceptions
                import azure.identity
            except ImportError as error:
                detail = f"{PACKAGE} can't be imported ({error.name or error}): {INSTALL}"
                raise answers.NotDone(answers.Reply(answers.Answer.DENIED, detail)) from None
            self._errors = azure.core.exceptions
            self._make = azure.identity.WorkloadIdentityCredential
            self._credential = self._made()

    def get_token(self, *scopes: str, **options: typing.Any) -> azure.core.credentials.AccessToken:
        """Return a token, the present one as long as it is good.

        It says to end now, so that the SDK keeps none itself and asks each time: what is forgotten here is forgotten.
        A new one takes one request, without the SDK's repetitions: the shipper's pauses are between two of them.

        Raises:
            answers.NotDone: there is none.

        """
        try:
            return self._credential.get_token(*scopes, **options)._replace(expires_on=int(time.time()))
        except OSError as error:
            detail = f"no token: {self._file} can't be read: {error.strerror}"
            raise answers.NotDone(answers.Reply(answers.Answer.DENIED, detail)) from None
        except self._errors.HttpResponseError as error:
            self.forget()  # the service account's token is read again too
            raise answers.NotDone(_refusal(error)) from None
        except (self._errors.AzureError, ValueError, KeyError, TypeError) as error:  # of the SDK, for odd answers
            detail = f"no token: the authority can't be reached, or answers nonsense ({type(error).__name__})"
            raise answers.NotDone(answers.Reply(answers.Answer.AMBIGUOUS, detail)) from None

    @property
    def for_sdk(self) -> Tokens:  # noqa: D102 (see credentials.Credential, as these)
        return self

    def missing(self) -> str:  # noqa: D102
        return ""

    def refresh(self) -> bool:  # noqa: D102
        return False  # nothing tells whether a new token would be better: not at once

    def accepted(self) -> None:  # noqa: D102
        pass

    def restore(self) -> None:  # noqa: D102
        pass  # tokens are good for each storage that the identity may use

    def forget(self) -> None:
        """Ask anew next time: what is held was refused."""
        self.close()
        with forking.gate.here():
            self._credential = self._made()

    def close(self) -> None:
        """Close the connections."""
        self._credential.close()

    def _made(self) -> azure.identity.WorkloadIdentityCredential:
        authority = {"authority": self._identity.authority} if self._identity.authority else {}
        try:
            return self._make(
                tenant_id=self._identity.tenant_id,
                client_id=self._identity.client_id,
                token_file_path=str(self._file),
                retry_total=0,
                connection_timeout=answers.CONNECT_SECONDS,
                read_timeout=answers.READ_SECONDS,
                **authority,
            )
        except ValueError:  # its text names the value, and more
            detail = f"no token: {self._identity} makes no sense to {PACKAGE}"
            raise answers.NotDone(answers.Reply(answers.Answer.DENIED, detail)) from None


def _refusal(error: azure.core.exceptions.HttpResponseError) -> answers.Reply:
    """Return what the authority's answer means. Nothing of it concerns a block: none was sent."""
    status = error.status_code or 0
    known = re.search(r"\((\w+)\)", error.message or ""), re.search(r"AADSTS\d+", error.message or "")
    words = [str(status), *(found.group(found.re.groups) for found in known if found)]
    detail = f"no token: the authority answers {' '.join(words)}"
    if not 400 <= status < 500 or status in (408, 429):
        wait = getattr(error.response, "headers", {}).get("Retry-After", "")
        return answers.Reply(answers.Answer.AMBIGUOUS, detail, float(wait) if wait.isdigit() else 0.0)
    return answers.Reply(answers.Answer.DENIED, detail)

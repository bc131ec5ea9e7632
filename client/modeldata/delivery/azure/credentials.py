"""How a container is got at: by a SAS in a file, or signed in as an identity."""

from __future__ import annotations

import pathlib
import typing

from ...threads import forking, importing
from . import answers

if typing.TYPE_CHECKING:
    from ... import settings


class Account(typing.NamedTuple):
    """A container in an account, and how to get at it: by the SAS in a file, or signed in."""

    endpoint: str
    container: str
    sas_file: pathlib.Path
    identity: settings.WorkloadIdentity | None = None
    """Who to sign in as; the file is not looked at then."""

    @property
    def token_file(self) -> pathlib.Path:
        """Return where the service account's token is, beside the directory of the SAS."""
        return self.sas_file.parents[1] / "identity" / "token"


class Credential(typing.Protocol):
    """What the requests to a container are made with."""

    @property
    def for_sdk(self) -> typing.Any:
        """What the SDK's clients take."""

    def missing(self) -> str:
        """Return why nothing can be asked for yet; empty if it can."""

    def refresh(self) -> bool:
        """Look for a newer one; return whether there is one."""

    def accepted(self) -> None:
        """Take in that the service does not refuse it."""

    def restore(self) -> None:
        """Go back to the one that was last accepted: what was read since is for the next storage."""

    def forget(self) -> None:
        """Take in that the service refuses it."""

    def close(self) -> None:
        """Close the connections."""


class Sas:
    """The SAS in a file, which somebody else writes anew."""

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        self._token = ""
        self._good = ""
        """The SAS that was last not refused."""
        importing.load("azure.core.credentials")
        with forking.gate.here():
            import azure.core.credentials

            self.for_sdk = azure.core.credentials.AzureSasCredential("none")

    def missing(self) -> str:  # noqa: D102 (see Credential, as all of these)
        return "" if self._token or self.refresh() else "no SAS yet"

    def refresh(self) -> bool:  # noqa: D102
        try:
            token = self._file.read_text().strip()
        except OSError:
            return False
        if not token or token == self._token:
            return False
        self._token = token
        self.for_sdk.update(token)
        return True

    def accepted(self) -> None:  # noqa: D102
        self._good = self._token

    def restore(self) -> None:  # noqa: D102
        if self._good and self._good != self._token:
            self._token = self._good
            self.for_sdk.update(self._good)

    def forget(self) -> None:  # noqa: D102
        pass  # a newer one is looked for where rows are refused

    def close(self) -> None:  # noqa: D102
        pass


def of(account: Account) -> Credential:
    """Return what an account is to be asked with.

    Raises:
        answers.NotDone: the account's identity can't be used here.

    """
    if account.identity is None:
        return Sas(account.sas_file)
    if not account.endpoint.startswith("https://"):
        detail = "a token is sent over https only, and the endpoint is not"
        raise answers.NotDone(answers.Reply(answers.Answer.DENIED, detail))
    from . import tokens

    return tokens.Tokens(account.identity, account.token_file)

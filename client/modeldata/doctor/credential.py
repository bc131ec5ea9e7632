"""What a credential says of itself: all of a SAS but its signature, and a service account's token, can be read."""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import typing
import urllib.parse

from . import findings

SUBJECT = "credential"
_SOON_SECONDS = 600.0
"""A SAS that ends so soon should have been renewed: the operator does so at half of its life."""

_RENEW = "the operator writes it: see the condition CredentialsReady (kubectl describe mdc), or give a new SAS"
_MORE_THAN_NEEDED = {"w": "overwrite", "d": "delete", "x": "delete versions of", "y": "delete for good"}


def examine(token: str, *, https: bool, reads: bool, now: float) -> list[findings.Finding]:
    """Return what is to be said of a SAS.

    Args:
        token: the text of ``credential/sas``. No part of its signature is in the findings.
        https: whether the endpoint is.
        reads: whether the client has to read what it wrote, as where pods share a file.
        now: seconds since the epoch.

    """
    if not token:
        return [findings.wrong(SUBJECT, "the file is empty", _RENEW)]
    if "://" in token:
        return [
            findings.wrong(SUBJECT, "the file holds a URL", "only what stands behind its question mark belongs there")
        ]
    fields = {key: values[-1] for key, values in urllib.parse.parse_qs(token.lstrip("?")).items()}
    if "sig" not in fields:
        return [findings.wrong(SUBJECT, "the file holds no SAS: there is no signature in it", _RENEW)]
    found = [*_lifetime(fields, now), *_rights(fields, reads=reads)]
    if fields.get("spr") == "https" and not https:
        found.append(findings.wrong(SUBJECT, "it is for https only, and the endpoint is http", "change one of them"))
    if fields.get("sr", "c") != "c":
        way_out = "a SAS for the container is needed: a new file is made each day"
        found.append(findings.wrong(SUBJECT, f"it is not for a container (sr={fields['sr']})", way_out))
    return found


AUDIENCE = "api://AzureADTokenExchange"
"""Whom Azure wants a service account's token to be for."""


def examine_token(token: str, *, now: float) -> list[findings.Finding]:
    """Return what is to be said of a service account's token, which is exchanged for one of Azure's.

    Args:
        token: the text of the file. No part of its signature is in the findings.
        now: seconds since the epoch.

    """
    claims = _claims(token)
    if claims is None:
        return [findings.wrong(SUBJECT, "the service account's token is no token", "the kubelet writes it: a new pod")]
    audiences = claims.get("aud")
    audiences = audiences if isinstance(audiences, list) else [audiences]
    text = f"a token of {claims.get('sub')}, issued by {claims.get('iss')}, is there: a federated credential names both"
    found = [findings.ok(SUBJECT, text)]
    if AUDIENCE not in audiences:
        text = f"the service account's token is for {', '.join(map(str, audiences))}"
        found.append(findings.warning(SUBJECT, text, f"the federated credential must say so; usual is {AUDIENCE}"))
    ends = claims.get("exp")
    if isinstance(ends, (int, float)) and ends <= now:
        text = f"the service account's token expired {findings.span(now - ends)} ago: rows wait"
        found.append(findings.wrong(SUBJECT, text, "the kubelet renews it: is the node well, are the clocks right?"))
    return found


def way_to_token(detail: str) -> str:
    """Return what to do where Azure gives no token; the detail has its error's number."""
    return next(
        (way for number, way in _WAYS_TO_TOKEN.items() if number in detail), "rows wait; see docs/credentials.md"
    )


_WAYS_TO_TOKEN = {
    "AADSTS700016": "there is no such client in this tenant: see clientId and tenantId",
    "AADSTS700024": "the service account's token is not valid at this time: are the clocks right?",
    "AADSTS7002": "give the identity a federated credential with the issuer and subject above",
    "AADSTS90002": "there is no such tenant: see tenantId",
    "can't be imported": "install it in the model's image; rows wait until then",
    "can't be read": "a pod gets it when it starts: start it anew; does the DataCollection say workloadIdentity?",
    "can't be reached": "rows wait; does a network policy or firewall let this pod go to the authority?",
}


def _claims(token: str) -> dict[str, typing.Any] | None:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, binascii.Error, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


def _lifetime(fields: typing.Mapping[str, str], now: float) -> list[findings.Finding]:
    if "se" not in fields:
        known = "a stored access policy says how long" if "si" in fields else "it says nowhere how long"
        return [findings.ok(SUBJECT, f"it is valid ({known})")]
    ends, begins = _moment(fields["se"]), _moment(fields.get("st", ""))
    if ends is None:
        return [findings.warning(SUBJECT, f"its end can't be read: se={fields['se']}", _RENEW)]
    if ends <= now:
        text = f"it expired {findings.span(now - ends)} ago (se={fields['se']}): rows wait"
        return [findings.wrong(SUBJECT, text, _RENEW)]
    if begins is not None and begins > now:
        text = f"it is valid only in {findings.span(begins - now)} (st={fields['st']}): rows wait"
        return [findings.wrong(SUBJECT, text, "wait, or see whether the clocks are right")]
    text = f"it is valid for {findings.span(ends - now)} (se={fields['se']})"
    if ends - now < _SOON_SECONDS:
        return [findings.warning(SUBJECT, text, f"it should have been renewed; {_RENEW}")]
    return [findings.ok(SUBJECT, text)]


def _rights(fields: typing.Mapping[str, str], *, reads: bool) -> list[findings.Finding]:
    if "sp" not in fields:
        return []  # in a stored access policy
    rights = fields["sp"]
    needed = {"a": "add to files", "c": "create files", **({"r": "read files"} if reads else {})}
    missing = [f"{letter} ({text})" for letter, text in needed.items() if letter not in rights]
    if missing:
        text = f"its permissions sp={rights} lack {', '.join(missing)}: rows wait"
        return [findings.wrong(SUBJECT, text, f"a SAS with sp={'rac' if reads else 'ac'} is needed")]
    more = [text for letter, text in _MORE_THAN_NEEDED.items() if letter in rights]
    if more:
        text = f"its permissions sp={rights} let this pod {', '.join(more)} what was collected"
        return [findings.warning(SUBJECT, text, f"sp={'rac' if reads else 'ac'} is enough")]
    return [findings.ok(SUBJECT, f"its permissions are what is needed (sp={rights})")]


def _moment(text: str) -> float | None:
    """Return seconds since the epoch. A SAS has a date, a minute or a second, in UTC."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.timezone.utc).timestamp()
        except ValueError:
            continue
    return None

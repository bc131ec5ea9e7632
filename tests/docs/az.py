"""A stand-in for Azure's command line: what `az` answers to the commands of docs/credentials.md, and a log of them.

What it signs, a real storage account takes. Any other command, and any other option, is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys

from azure.storage.blob import BlobServiceClient, generate_container_sas

IDENTITY = {"clientId": "01234567-89ab-cdef-0123-456789abcdef", "principalId": "11111111-2222-3333-4444-555555555555"}
ISSUER = "https://oidc.example/"
COMMANDS = {
    "identity create": ("name", "resource-group"),
    "identity show": ("name", "resource-group", "query", "output"),
    "identity federated-credential create": (
        *("name", "identity-name", "resource-group", "issuer", "audiences", "subject"),
    ),
    "aks show": ("name", "resource-group", "query", "output"),
    "storage account show": ("name", "query", "output"),
    "storage container generate-sas": ("account-name", "name", "permissions", "expiry", "output"),
    "role assignment create": ("assignee-object-id", "assignee-principal-type", "role", "scope"),
}


def main() -> None:
    words = " ".join(sys.argv[1:]).partition(" -")[0]
    parser = argparse.ArgumentParser(prog="az", allow_abbrev=False)
    for name in COMMANDS[words]:
        short = ["-o"] if name == "output" else []
        parser.add_argument(*short, f"--{name}", required=True)
    given = vars(parser.parse_args(sys.argv[1 + len(words.split()) :]))
    with pathlib.Path(os.environ["AZ_LOG"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps([words, given]) + "\n")
    print(answer(words, given))


def answer(words: str, given: dict[str, str]) -> str:
    if words == "storage container generate-sas":
        service = BlobServiceClient.from_connection_string(os.environ["CONNECTION"])
        assert given["account_name"] == service.account_name
        return str(
            generate_container_sas(
                given["account_name"],
                given["name"],
                account_key=service.credential.account_key,
                permission=given["permissions"],
                expiry=given["expiry"],
            )
        )
    if words == "storage account show":
        return f"/subscriptions/0/resourceGroups/models/providers/Microsoft.Storage/storageAccounts/{given['name']}"
    if words == "aks show":
        assert given["query"] == "oidcIssuerProfile.issuerUrl"
        return ISSUER
    return IDENTITY[given["query"]] if words == "identity show" else json.dumps(IDENTITY)


if __name__ == "__main__":
    main()

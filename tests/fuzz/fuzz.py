"""schemathesis against a server's own description of its API, with each kind of token in turn.

LATCHKEY_URL, LATCHKEY_APP and LATCHKEY_SPARE_APP (id,token), LATCHKEY_SERVER_SECRET, LATCHKEY_SECONDS (0: a bounded
number of requests instead).
"""

import json
import os
import pathlib
import subprocess
import sys

import requests

URL = os.environ["LATCHKEY_URL"]
APP, APP_TOKEN = os.environ["LATCHKEY_APP"].split(",")
SPARE, _ = os.environ["LATCHKEY_SPARE_APP"].split(",")
SECRET = os.environ["LATCHKEY_SERVER_SECRET"]
SECONDS = int(os.environ.get("LATCHKEY_SECONDS", "0"))
PASSWORD = "9cc2ae8a1ba7a93da39b46fc1019c481"
HERE = pathlib.Path(__file__).parent
SCHEMATHESIS = pathlib.Path(sys.executable).parent / "schemathesis"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "needs_its_token",
]


def as_operator(path, **fields):
    answer = requests.post(f"{URL}/api/app/{path}", headers={"server-secret": SECRET}, json={"appId": APP, **fields})
    answer.raise_for_status()
    return answer.json()


def as_app(path, **fields):
    answer = requests.post(f"{URL}/api/appuser/{path}", headers={"app-token": APP_TOKEN}, json=fields)
    answer.raise_for_status()
    return answer.json()


def prepare():
    fields = [
        {"path": "city", "fieldName": "city", "type": "text", "userSettable": True, "canEdit": True},
        {"path": "born.year", "fieldName": "year", "type": "number"},
    ]
    as_operator(
        "update",
        userNamesEnabled=True,
        anonymousLoginEnabled=True,
        invitationEnabled=True,
        twoFactorVerification="google",
        metaData=fields,
        maxUsers=0,
    )
    users = [as_operator("addUser", handle=f"{name}@example.com", password=PASSWORD) for name in ("ana", "bob")]
    as_operator("addUser", handle="eve@example.com", password=PASSWORD, administrator=True)
    root = as_operator("addUser", handle="root@example.com", password=PASSWORD, administrator=True)
    return {
        "serverSecret": {"server-secret": SECRET},
        "appToken": {"app-token": APP_TOKEN},
        # Of somebody whom the operators' requests do not name.
        "accessToken": {"access-token": as_app("login", handle="eve@example.com", password=PASSWORD)["access-token"]},
        "superUserToken": {"access-token": as_operator("superUserToken", userId=root["_id"])["access-token"]},
    }, {
        "appId": [APP],
        "userId": [user["_id"] for user in users],
        "handle": [user["handle"] for user in users] + ["new@example.com"],
        "value": ["a", "ana", "EXAMPLE"],
        "password": [PASSWORD],
        "target": ["users", "invites", "signups"],
        "_id": ["signUp-EN", users[0]["_id"]],
        "setting": ["signupFlow", "maxUsers", "status", "metaData", "locales", "realmAppId"],
        "locale": ["EN", "DE"],
    }


def kind_of(operation):
    if not operation["security"]:
        return "nothing"
    return next(iter(operation["security"][0]))


def run(what, operations, amount, headers):
    print(f"\n{what}", flush=True)
    chosen = [word for operation in operations for word in ("--include-operation-id", operation)]
    sent = [word for header in headers.items() for word in ("-H", ": ".join(header))]
    return not subprocess.run(
        [SCHEMATHESIS, "--no-color", "run", f"{URL}/openapi.json", "--checks", ",".join(CHECKS), "--seed", "7"]
        + ["--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all", "--warnings", "off"]
        + ["--generation-database", "none", "--request-timeout", "30", "--continue-on-failure"]
        + amount
        + chosen
        + sent,
        # What it remembers between runs is no part of the repository.
        cwd=pathlib.Path(sys.prefix),
    ).returncode


def main():
    headers, known = prepare()
    os.environ["LATCHKEY_KNOWN"] = json.dumps(known)
    os.environ["LATCHKEY_SPARE"] = json.dumps({"appId": [SPARE], "handle": ["carl@example.com"]})
    os.environ["SCHEMATHESIS_HOOKS"] = "hooks"
    os.environ["PYTHONPATH"] = str(HERE)
    by_kind = {}
    for operations in requests.get(f"{URL}/openapi.json").json()["paths"].values():
        for operation in operations.values():
            # What answers 501 by design has nothing else to say.
            if "501" not in operation["responses"]:
                by_kind.setdefault(kind_of(operation), []).append(operation["operationId"])
    in_all = sum(map(len, by_kind.values()))
    failed = []
    # The operators' requests go last: they change what the others are about.
    for kind, operations in sorted(by_kind.items(), key=lambda item: item[0] == "serverSecret"):
        amount = ["--max-time", str(max(1, SECONDS * len(operations) // in_all))] if SECONDS else ["--max-examples", "30"]
        if not run(f"{kind}: {len(operations)} operations", operations, amount, headers.get(kind, {})):
            failed.append(kind)
    os.environ["LATCHKEY_WITHOUT_TOKEN"] = "yes"
    guarded = [operation for kind, operations in by_kind.items() if kind != "nothing" for operation in operations]
    if not run(f"without a token: {len(guarded)} operations", guarded, ["--max-examples", "3"], {}):
        failed.append("no token")
    if failed:
        sys.exit(f"schemathesis found something with: {', '.join(failed)}")


main()

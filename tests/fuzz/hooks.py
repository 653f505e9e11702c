"""What schemathesis cannot guess from the description of the API: that an application, its users and its codes exist. Half of
what it sends names real ones, so that it gets past the first look-up.

LATCHKEY_KNOWN, LATCHKEY_SPARE: JSON, names of fields to the values that are real, and to those that may go.
"""

import json
import os

import schemathesis

KNOWN = json.loads(os.environ["LATCHKEY_KNOWN"])
SPARE = json.loads(os.environ["LATCHKEY_SPARE"])
# After one of these the others would have nothing to talk about.
ENDING = {
    "reset",
    "deleteApp",
    "regenerateAppToken",
    "removeUser",
}


def with_known(name, schema, is_ending):
    values = (SPARE if is_ending else KNOWN).get(name)
    return {"anyOf": [{"enum": values}, schema]} if values else schema


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            is_ending = operation["operationId"] in ENDING
            for parameter in operation.get("parameters", []):
                name = "appId" if parameter["name"] == "app_id" else parameter["name"]
                parameter["schema"] = with_known(name, parameter["schema"], is_ending)
            bodies = operation.get("requestBody", {}).get("content", {})
            for content in bodies.values():
                component = content["schema"]["$ref"].rsplit("/", 1)[1]
                properties = raw_schema["components"]["schemas"][component]["properties"]
                for name, schema in properties.items():
                    properties[name] = with_known(name, schema, is_ending)
            # Forms with the same fields are accepted and not described.
            if "application/json" in bodies:
                bodies["application/x-www-form-urlencoded"] = {"schema": bodies["application/json"]["schema"]}


@schemathesis.check
def needs_its_token(context, response, case):
    """Without a token nothing is done. (`ignored_auth` asks for 401 or 403; the protocol's user API answers 400.)"""
    if os.environ.get("LATCHKEY_WITHOUT_TOKEN") and response.status_code < 400:
        raise AssertionError(f"answered {response.status_code} without a token")

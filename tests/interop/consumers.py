"""Follows the recipes of docs/consumers.md: makes an application for each, applies the settings of the page, signs a user up, and
checks with PyJWT that the token meets what the consumer's documentation demands. Runs the page's code for jose and PyJWT."""

import json
import os
import pathlib
import re
import subprocess
import uuid

import jwt

from verify import URL, call_with, check, sign_up

HERE = pathlib.Path(__file__).parent
PAGE = (HERE / "../../docs/consumers.md").read_text()
SECRET = os.environ["LATCHKEY_SERVER_SECRET"]
HASURA = "https://hasura.io/jwt/claims"


def admin(path, body):
    return call_with("/api/app/" + path, {"server-secret": SECRET}, body)


def recipe(heading):
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    if not section:
        raise SystemExit(f"docs/consumers.md has no section {heading}")
    return section.group(1)


def blocks(heading, language):
    return re.findall(rf"```{language}\n(.*?)```", recipe(heading), re.S)


def issue(heading):
    """An application with the recipe's settings, and a user's token."""
    app = admin("", {"name": heading})
    admin("updateAppSetting", {"appId": app["appId"], "setting": "signupFlow", "signupFlow": "none"})
    admin("updateAppSetting", {"appId": app["appId"], "setting": "userIdFormat", "userIdFormat": "uid"})
    audience = "none"
    for block in blocks(heading, "json"):
        setting = json.loads(block.replace("APP_ID", app["appId"]))
        audience = setting.get("realmAppId", audience)
        admin("updateAppSetting", setting)
    handle, token = sign_up(app["appToken"])
    issuer = f"{URL}/apps/{app['appId']}"
    keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json")
    claims = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["RS256"],
        audience=audience,
        issuer=issuer,
        options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )
    header = jwt.get_unverified_header(token)
    return app, handle, token, header, claims


# What the consumers' documentation demands of a token.
RULES = {
    "PostgREST": lambda header, claims: claims["role"] == "web_user" and claims["aud"] == "postgrest",
    "Hasura": lambda header, claims: claims[HASURA]["x-hasura-default-role"] in claims[HASURA]["x-hasura-allowed-roles"]
    and isinstance(claims[HASURA]["x-hasura-allowed-roles"], list)
    and all(isinstance(claims[HASURA][name], str) for name in ("x-hasura-default-role", "x-hasura-user-id"))
    and claims[HASURA]["x-hasura-user-id"] == claims["sub"],
    "Supabase": lambda header, claims: claims["role"] == "authenticated"
    and "kid" in header
    and uuid.UUID(claims["sub"]).hex == claims["sub"],
    "PowerSync": lambda header, claims: "kid" in header
    and claims["exp"] - claims["iat"] <= 86_400
    and isinstance(claims["sub"], str),
    "Convex": lambda header, claims: all(name in header for name in ("kid", "alg", "typ"))
    and header["alg"] == "RS256"
    and isinstance(claims["iat"], int),
    "MongoDB App Services": lambda header, claims: header["alg"] == "RS256"
    and len(claims["sub"]) <= 128
    and isinstance(claims["aud"], str),
    "HAProxy": lambda header, claims: header["alg"] == "RS256" and isinstance(claims["aud"], str),
}

for heading, rule in RULES.items():
    _, _, _, header, claims = issue(heading)
    check(rule(header, claims), f"a token for {heading} is as its documentation demands")

app, _, token, _, claims = issue("Your own backend")


def ours(text):
    return text.replace("https://auth.example.com", URL).replace("APP_ID", app["appId"])


found = {"token": token}
exec(ours(blocks("Your own backend", "python")[0]), found)
check(found["claims"] == claims, "the page's code for PyJWT verifies a token")
script = f"const token = {json.dumps(token)};\n{ours(blocks('Your own backend', 'js')[0])}\nconsole.log(payload.sub);"
script = "\n".join(sorted(script.splitlines(), key=lambda line: not line.startswith("import ")))
run = subprocess.run(["node", "--input-type=module", "-e", script], cwd=HERE, capture_output=True, text=True, check=True)
check(run.stdout.strip() == claims["sub"], "the page's code for jose verifies a token")

"""Signs a user up, verifies the JWT with PyJWT from the JWKS address that discovery names, and shows that
forged tokens are refused."""

import hashlib
import json
import os
import secrets
import urllib.request

import jwt

URL = os.environ["LATCHKEY_URL"]
APP_ID, APP_TOKEN = os.environ["LATCHKEY_APP"].split(",")
OTHER_TOKEN = os.environ["LATCHKEY_OTHER_APP"].split(",")[1]


def check(held, what):
    if not held:
        raise SystemExit(f"it did not hold that {what}")
    print(f"PyJWT: {what}")


def call(path, token=None, body=None):
    return call_with(path, {"app-token": token} if token else {}, body)


def call_with(path, headers, body=None):
    headers = {"content-type": "application/json", **headers}
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers)) as response:
        return json.load(response)


def sign_up(token):
    handle = f"{secrets.token_hex(6)}@example.com"
    password = hashlib.md5(b"correct horse battery staple").hexdigest()
    tokens = call("/api/appuser/signup", token, {"handle": handle, "password": password})
    return handle, tokens["jwt"]


def main():
    discovery = call(f"/apps/{APP_ID}/.well-known/openid-configuration")
    keys = jwt.PyJWKClient(discovery["jwks_uri"])

    def verify(token):
        key = keys.get_signing_key_from_jwt(token)
        return jwt.decode(token, key.key, algorithms=["RS256"], audience="none", issuer=discovery["issuer"])

    handle, token = sign_up(APP_TOKEN)
    claims = verify(token)
    check(claims["sub"] == handle, "the token verifies, its subject is the handle")

    header, body, signature = token.split(".")
    forged_body = jwt.utils.base64url_encode(json.dumps({**claims, "sub": "eve@example.com"}).encode()).decode()
    for what, forged in {
        "a token with other claims": f"{header}.{forged_body}.{signature}",
        "a token with alg none": jwt.encode(claims, None, algorithm="none", headers={"kid": "x"}),
        "a token of another application": sign_up(OTHER_TOKEN)[1],
    }.items():
        try:
            verify(forged)
            check(False, f"{what} is refused")
        except jwt.exceptions.PyJWTError:
            check(True, f"{what} is refused")


if __name__ == "__main__":
    main()

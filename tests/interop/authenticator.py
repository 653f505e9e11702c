"""Enrols an authenticator as a telephone would: zxing reads the QR code that the server drew, pyotp computes the
code, and the log-in is completed with it."""

import base64
import hashlib
import io
import json
import os
import secrets
import urllib.error
import urllib.request

import pyotp
import zxingcpp
from PIL import Image

URL = os.environ["LATCHKEY_URL"]
APP_ID, APP_TOKEN = os.environ["LATCHKEY_APP"].split(",")
SERVER_SECRET = os.environ["LATCHKEY_SERVER_SECRET"]
PASSWORD = hashlib.md5(b"correct horse battery staple").hexdigest()


def check(held, what):
    if not held:
        raise SystemExit(f"it did not hold that {what}")
    print(f"pyotp and zxing: {what}")


def post(path, header, body):
    headers = {"content-type": "application/json", header[0]: header[1]}
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return json.load(error)


app = ("app-token", APP_TOKEN)
post(
    "/api/app/updateAppSetting",
    ("server-secret", SERVER_SECRET),
    {
        "appId": APP_ID,
        "setting": "twoFactorVerification",
        "twoFactorVerification": "google",
        "googleAppName": "Shop & Söhne",
    },
)
handle = f"{secrets.token_hex(6)}+x@example.com"
tokens = post("/api/appuser/signup", app, {"handle": handle, "password": PASSWORD})
enrolled = post(
    "/api/appuser/setTwoFactorGoogleVerification", ("access-token", tokens["access-token"]), {"twoFactor": True}
)

picture = base64.b64decode(enrolled["QRDataImage"].removeprefix("data:image/png;base64,"))
codes = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
check(len(codes) == 1, "there is one code in the picture")
totp = pyotp.parse_uri(codes[0].text)
check((totp.issuer, totp.name) == ("Shop & Söhne", handle), "it names the application and the user")
check(totp.secret == enrolled["googleSecretKey"].replace(" ", "").upper(), "picture and text are one secret")
check((totp.digits, totp.interval) == (6, 30), "six digits every thirty seconds")


def complete(code):
    half = post("/api/appuser/login", app, {"handle": handle, "password": PASSWORD})
    check("jwt" not in half, "the password alone gives no token")
    return post("/api/appuser/loginComplete", app, {"loginToken": half["login-token"], "code": code})


code = totp.now()
wrong = f"{(int(code) + 1) % 1_000_000:06d}"
check(complete(wrong).get("code") == 600, "a wrong code is refused")
check("jwt" in complete(code), "the code that pyotp computes logs in")
check(complete(code).get("code") == 600, "and does not log in twice")

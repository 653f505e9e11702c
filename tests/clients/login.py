"""Signs a user up and logs in with the client that openapi-python-client made."""

import os

from latchkey_client import AuthenticatedClient
from latchkey_client.api.user_api import login, signup
from latchkey_client.models import LoginRequest, SignupRequest, Tokens

client = AuthenticatedClient(
    base_url=os.environ["LATCHKEY_URL"],
    token=os.environ["APP_TOKEN"],
    prefix="",
    auth_header_name="app-token",
    raise_on_unexpected_status=True,
)
user = {"handle": os.environ["HANDLE"], "password": os.environ["PASSWORD"]}
signup.sync(client=client, body=SignupRequest.from_dict(user))
tokens = login.sync(client=client, body=LoginRequest.from_dict(user))
assert isinstance(tokens, Tokens) and tokens.jwt.count(".") == 2, tokens

"""A mail server for tests: aiosmtpd with STARTTLS and a log-in, which behaves as a recipient's name says.

Usage: server.py FOLDER PORT (0 for any). Writes FOLDER/ca.pem first, then one line "ready PORT" on standard
output, and one line of JSON per accepted mail into FOLDER/accepted.jsonl. What it has seen of a recipient is kept
in FOLDER, so that a restart goes on where it was.

The name before the first "-" of a recipient decides: cut (the connection ends during DATA, once), late (it ends
after the whole message and before the answer, once), busy (451, once), no (550, always), stall (no answer for a
long time, once), slow (an answer after 2.5 s); all others are accepted.
"""

import asyncio
import json
import pathlib
import ssl
import sys
from email import message_from_bytes

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

folder = pathlib.Path(sys.argv[1])
port = int(sys.argv[2])


def certificates():
    if not (folder / "server.pem").exists():
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def first_time(recipient, what):
    mark = folder / f"seen-{what}-{recipient}"
    if mark.exists():
        return False
    mark.touch()
    return True


def kind(recipient):
    return recipient.split("-", 1)[0]


class Server(SMTP):
    async def smtp_DATA(self, arg):
        recipients = self.envelope.rcpt_tos if self.envelope else []
        if recipients and kind(recipients[0]) == "cut" and first_time(recipients[0], "cut"):
            await self.push("354 go on")
            self.transport.abort()
            return
        await super().smtp_DATA(arg)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if kind(address) == "no":
            return "550 5.1.1 there is nobody of this name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        recipient = envelope.rcpt_tos[0]
        what = kind(recipient)
        if what == "busy" and first_time(recipient, "busy"):
            return "451 4.3.0 try again later"
        if what == "late" and first_time(recipient, "late"):
            server.transport.abort()
            return "451 nobody hears this"
        if what == "stall" and first_time(recipient, "stall"):
            await asyncio.sleep(30)
            return "451 too late"
        if what == "slow":
            await asyncio.sleep(2.5)
        message = message_from_bytes(envelope.content)
        line = {
            "to": recipient,
            "from": envelope.mail_from,
            "id": message["Message-ID"],
            "subject": message["Subject"],
            "user": session.auth_data,
            "tls": session.ssl is not None,
            "headers": [name for name, _ in message.items()],
        }
        with open(folder / "accepted.jsonl", "a", encoding="utf-8") as accepted:
            accepted.write(json.dumps(line) + "\n")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    name, password = data.login.decode(), data.password.decode()
    good = {"latchkey": "mail-canary", "apikey": "SG.relay-canary"}
    if good.get(name) != password:
        return AuthResult(success=False, handled=False)
    return AuthResult(success=True, auth_data=name)


async def main():
    context = certificates()
    loop = asyncio.get_running_loop()

    def made():
        return Server(
            Handler(),
            hostname="localhost",
            tls_context=context,
            require_starttls=True,
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=True,
        )

    server = await loop.create_server(made, "127.0.0.1", port, reuse_address=True)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())

// Signs a user up, verifies the JWT with jose from the JWKS address that discovery names, and shows that
// forged tokens are refused: by jose, and by the server.

import { createHash, createHmac, createPublicKey, randomBytes } from "node:crypto";
import { createRemoteJWKSet, jwtVerify } from "jose";

const url = process.env.LATCHKEY_URL;
const [appId, appToken] = process.env.LATCHKEY_APP.split(",");
const [, otherToken] = process.env.LATCHKEY_OTHER_APP.split(",");

function check(held, what) {
  if (!held) throw new Error(`it did not hold that ${what}`);
  console.log(`jose: ${what}`);
}

async function signUp(token) {
  const handle = `${randomBytes(6).toString("hex")}@example.com`;
  const password = createHash("md5").update("correct horse battery staple").digest("hex");
  const response = await fetch(`${url}/api/appuser/signup`, {
    method: "POST",
    headers: { "app-token": token, "content-type": "application/json" },
    body: JSON.stringify({ handle, password }),
  });
  check(response.status === 200, `a user signs up (${response.status})`);
  return { handle, ...(await response.json()) };
}

const discovery = await (await fetch(`${url}/apps/${appId}/.well-known/openid-configuration`)).json();
const keys = createRemoteJWKSet(new URL(discovery.jwks_uri));
const expected = { issuer: discovery.issuer, audience: "none", algorithms: ["RS256"] };

const user = await signUp(appToken);
const { payload, protectedHeader } = await jwtVerify(user.jwt, keys, expected);
check(payload.sub === user.handle, "the subject is the handle");
check(payload.exp - payload.iat === 24 * 3600, "the token lives 24 hours");
check(protectedHeader.typ === "JWT" && protectedHeader.kid.length === 43, "the header names type and key");

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const [header, claims, signature] = user.jwt.split(".");
const jwk = (await (await fetch(discovery.jwks_uri)).json()).keys[0];
const pem = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" });
const hs256 = `${encode({ alg: "HS256", typ: "JWT", kid: jwk.kid })}.${claims}`;
const flipped = Buffer.from(signature, "base64url");
flipped[10] ^= 1;
const forgeries = {
  "a token with one changed bit": `${header}.${claims}.${flipped.toString("base64url")}`,
  "a token with other claims": `${header}.${encode({ ...payload, sub: "eve@example.com" })}.${signature}`,
  "a token with alg none": `${encode({ alg: "none", typ: "JWT" })}.${claims}.`,
  "an HS256 token keyed with the public PEM": `${hs256}.${createHmac("sha256", pem).update(hs256).digest("base64url")}`,
  "a token of another application": (await signUp(otherToken)).jwt,
};
for (const [what, token] of Object.entries(forgeries)) {
  const refused = await jwtVerify(token, keys, expected).then(() => false, () => true);
  check(refused, `${what} is refused`);
  const answer = await fetch(`${url}/api/appuser/getUser`, { headers: { "access-token": token } });
  check(answer.status === 400 && (await answer.json()).code === 405, `${what} is refused by the server too`);
}

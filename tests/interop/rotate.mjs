// Rotates an application's key in the middle of traffic: every token that is made is verified at once, and all of
// them again until the old key has long ceased to sign, with jose's remote key set and its default cache.

import { createHash, randomBytes } from "node:crypto";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";

const url = process.env.LATCHKEY_URL;
const [appId, appToken] = process.env.LATCHKEY_APP.split(",");
const secret = process.env.LATCHKEY_SERVER_SECRET;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function check(held, what) {
  if (!held) throw new Error(`it did not hold that ${what}`);
  console.log(`jose: ${what}`);
}

async function post(path, headers, body) {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  return response.json();
}

const handle = `${randomBytes(6).toString("hex")}@example.com`;
const password = createHash("md5").update("correct horse battery staple").digest("hex");
await post("/api/appuser/signup", { "app-token": appToken }, { handle, password });
const newToken = async () => (await post("/api/appuser/login", { "app-token": appToken }, { handle, password })).jwt;

const discovery = await (await fetch(`${url}/apps/${appId}/.well-known/openid-configuration`)).json();
const keySet = createRemoteJWKSet(new URL(discovery.jwks_uri));
const expected = { issuer: discovery.issuer, audience: "none", algorithms: ["RS256"] };

const tokens = [];
const signers = new Set();
let verified = 0;
async function round() {
  const token = await newToken();
  tokens.push(token);
  signers.add(decodeProtectedHeader(token).kid);
  for (const made of tokens) {
    await jwtVerify(made, keySet, expected);
    verified += 1;
  }
}

for (let number = 0; number < 5; number += 1) await round();
const rotated = await post("/api/app/rotateAppKey", { "server-secret": secret }, { appId });
const next = rotated.keys.find((key) => key.state === "next");
const signsFrom = Date.parse(next.signsFrom);
while (Date.now() < signsFrom + 8_000) {
  await round();
  await pause(1_000);
}
check(signers.size === 2 && signers.has(next.kid), "the new key signs, and only after it was published for long enough");
check(verified > 500, `no verification failed before, during or after (${verified} of ${tokens.length} tokens)`);

// A consumer that comes now finds both keys: the old one's tokens are still alive.
const fresh = createRemoteJWKSet(new URL(discovery.jwks_uri));
for (const token of tokens) await jwtVerify(token, fresh, expected);
check(true, "a consumer that comes now verifies old and new tokens");

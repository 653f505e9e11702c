// The portal in headless Chromium, as a newcomer uses it: from the set-up link to a decoded token in five submissions, which an
// independent library verifies from the JWKS address; then every page of an application, empty, filled and refused. On each of
// them axe finds nothing, nothing overflows, nothing foreign is asked for, and the policy is not violated.
//
// LATCHKEY_SETUP (a set-up link), LATCHKEY_WIDTH, LATCHKEY_SCHEME, LATCHKEY_SCRIPT (on, off), LATCHKEY_SHOTS.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { chromium } from "playwright-core";

const link = process.env.LATCHKEY_SETUP;
const origin = new URL(link).origin;
const width = Number(process.env.LATCHKEY_WIDTH);
const scheme = process.env.LATCHKEY_SCHEME;
const javaScriptEnabled = process.env.LATCHKEY_SCRIPT === "on";
const name = `portal-${width}-${scheme}-${javaScriptEnabled ? "with" : "without"}-javascript`;
const shots = process.env.LATCHKEY_SHOTS;
mkdirSync(shots, { recursive: true });
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const rules = JSON.stringify(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]);

function check(held, what) {
  if (!held) throw new Error(`${name}: ${what}`);
}

const browser = await chromium.launch({
  executablePath: process.env.LATCHKEY_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});
const context = await browser.newContext({
  viewport: { width, height: 800 },
  colorScheme: scheme,
  reducedMotion: "reduce",
  javaScriptEnabled,
});
const page = await context.newPage();
const wrong = [];
let submissions = 0;
page.on("request", (request) => {
  if (!request.url().startsWith(origin)) wrong.push(`asked ${request.url()}`);
  if (request.method() === "POST") submissions += 1;
});
page.on("console", (message) => /status of 4(04|09|22)/.test(message.text()) || wrong.push(message.text()));
page.on("pageerror", (error) => wrong.push(String(error)));

let number = 0;
/** Looks at the page that is open. */
async function look(what) {
  number += 1;
  await page.screenshot({ path: join(shots, `${name}-${String(number).padStart(2, "0")}-${what}.png`), fullPage: true });
  check((await page.locator("h1").count()) === 1, `${what}: one heading`);
  if (javaScriptEnabled) {
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    check(overflow <= 0, `${what}: ${overflow} pixels too wide`);
    const session = await context.newCDPSession(page);
    const expression = `${axe};axe.run(document,{runOnly:${rules}}).then((found)=>JSON.stringify([found.passes.length,found.violations]))`;
    const { result } = await session.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    await session.detach();
    const [passed, violations] = JSON.parse(result.value);
    check(passed > 10, `${what}: axe looked at something`);
    const words = violations.map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" ")}`);
    check(words.length === 0, `${what}: ${words.join("\n")}`);
  }
  check(wrong.length === 0, `${what}: ${wrong.join("\n")}`);
}

const press = (label) => page.getByRole("button", { name: label, exact: true }).click();

// The newcomer's path.
await page.goto(link);
check(!page.url().includes(link.split("/").pop()), "the link's token is not in the address bar");
await look("setup");
await page.getByLabel("E-mail address").fill("dana@example.com");
await page.getByLabel("Password").fill("correct horse battery");
await press("Create administrator account");
await look("new-application");
await press("Create application");
await look("first-hour");
const app = `${origin}${new URL(page.url()).pathname}`;
await press("Sign up test user");
await look("confirm");
await press("Confirm with this code");
await look("log-in");
await press("Log in");
await look("token");
check(submissions === 5, `${submissions} submissions`);
check(await page.getByText("Signature verified with key").isVisible(), "verified");
const jwt = await page.locator("#jwt").textContent();
const jwks = await page.locator("#verified a").getAttribute("href");
const { payload } = await jwtVerify(jwt, createRemoteJWKSet(new URL(jwks)), { algorithms: ["RS256"] });
check(payload.email === "first.user@example.test", "the independent library reads the same claims");
const dead = await page.goto(link);
check(dead.status() === 200 && page.url().includes("/sign-in"), "the link is dead");

// The quickstart runs as it is shown.
await page.goto(app);
await look("overview");
const shown = async (id) => page.locator(`#${id}`).textContent();
check(execFileSync("bash", ["-c", await shown("snippet-curl")]).toString() === "true", "the curl command runs");
const script = await shown("snippet-js");
const ran = execFileSync("node", ["--input-type=module", "-e", script.replace("ana@", "bo@")]).toString();
check(ran.trim() === "200 true", `the JavaScript runs: ${ran}`);

// The pages of an application.
async function add(handle) {
  await page.goto(`${app}/users/new`);
  await page.getByLabel("Handle").fill(handle);
  await page.getByLabel("Password").fill("correct horse battery");
  await page.getByRole("button", { name: "Add user" }).click();
}
await page.goto(`${app}/users/new`);
await look("add-user");
await add("ana.with.a.really.long.address.that.has.to.wrap.somewhere@a.very.long.host.example.com");
await add("first.user@example.test");
check(await page.getByText("is already registered.").first().isVisible(), "a taken handle is told");
await look("add-user-refused");
await page.goto(`${app}/users?q=nobody`);
await look("users-none");
await page.goto(`${app}/users`);
await look("users");
await page.locator("tbody a").first().click();
await press("Suspend");
await page.getByLabel("Type the handle to confirm").fill("someone else");
await press("Delete user");
await look("user-refused");
await page.goto(`${app}/jwt`);
await page.getByLabel("Life of JWTs (hours)").fill("9999");
await press("Save Token");
check(await page.getByText("Enter a whole number from 1 to 720.").first().isVisible(), "out of its bounds");
await look("jwt-refused");
await page.getByLabel("Life of JWTs (hours)").fill("12");
await press("Save Token");
check(await page.getByText("Life of JWTs (hours) is now 12.").isVisible(), "saved");
await look("jwt-saved");
await page.goto(`${app}/keys`);
await press("Rotate key");
await look("keys");
await page.goto(`${app}/invites`);
await look("invites-empty");
await page.getByLabel("E-mail addresses").fill("cy@example.com");
await press("Send invitations");
await look("invites");
for (const path of ["/signups", "/outbox", "/logs", "/logs?result=refused", "/settings", "/try"]) {
  await page.goto(`${app}${path}`);
  await look(path.replace(/\W/g, "-"));
}
const portal = app.replace(/\/apps\/.*/, "");
await page.goto(`${portal}/mailbox`);
await look("mailbox");
await page.locator("tbody a").first().click();
await look("mail");
for (const path of ["/apps", "/account", "/nowhere"]) {
  await page.goto(`${portal}${path}`);
  await look(path.slice(1));
}
await page.goto(`${app}/settings`);
await page.getByLabel("Type the application's name to confirm").fill("My application");
await press("Delete application");
check(page.url().endsWith("/apps?done=deleted"), "deleted");
check((await page.goto(app)).status() === 404, "and gone");
await page.goto(portal);
await page.getByRole("button", { name: "Sign out" }).click();
await look("signed-out");
await browser.close();
console.log(`browser: ${name} holds, ${number} pages`);

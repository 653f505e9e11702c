// The page behind a mailed link, in headless Chromium: narrow and wide, with and without JavaScript. Nothing
// foreign is asked for, nothing overflows, the button completes the sign-up where it came from. A mail scanner elsewhere that
// opens everything and submits every form completes nothing (SEC-134).
//
// LATCHKEY_URL, LATCHKEY_APP (id,token of an application with flow link), LATCHKEY_MAILBOX, LATCHKEY_SHOTS.
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const url = process.env.LATCHKEY_URL;
const [, appToken] = process.env.LATCHKEY_APP.split(",");
const mailbox = process.env.LATCHKEY_MAILBOX;
const shots = process.env.LATCHKEY_SHOTS;
const password = "9cc2ae8a1ba7a93da39b46fc1019c481";
mkdirSync(shots, { recursive: true });

function check(held, what) {
  if (!held) throw new Error(what);
}

// The server takes this machine for its proxy, which says where requests come from.
const home = "192.0.2.1";
const from = (address) => ({ "x-forwarded-for": address });

async function post(name, body) {
  const response = await fetch(`${url}/api/appuser/${name}`, {
    method: "POST",
    headers: { "app-token": appToken, "content-type": "application/json", ...from(home) },
    body: JSON.stringify(body),
  });
  return { status: response.status, text: await response.text() };
}

/** The link in the mail to this handle; mail wraps long lines as quoted-printable text. */
async function linkFor(handle) {
  for (let tries = 0; tries < 200; tries += 1) {
    for (const name of readdirSync(mailbox).filter((name) => name.endsWith(".eml"))) {
      const mail = readFileSync(join(mailbox, name), "utf8");
      if (!mail.includes(`To: ${handle}`)) continue;
      const plain = mail.replace(/=\r?\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
      const found = plain.match(/https?:\/\/\S+completeSignup\?\S+/);
      if (found) return found[0];
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no link for ${handle}`);
}

const browser = await chromium.launch({
  executablePath: process.env.LATCHKEY_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});
for (const width of [360, 1280]) {
  for (const javaScriptEnabled of [true, false]) {
    const name = `${width}-${javaScriptEnabled ? "with" : "without"}-javascript`;
    const handle = `ana.${name}.with.a.rather.long.address@example.com`;
    check((await post("signup", { handle, password })).text === "true", "signed up");
    const link = await linkFor(handle);
    const context = await browser.newContext({
      viewport: { width, height: 740 },
      javaScriptEnabled,
      extraHTTPHeaders: from(home),
    });
    const page = await context.newPage();
    const foreign = [];
    const complaints = [];
    page.on("request", (request) => request.url().startsWith(url) || foreign.push(request.url()));
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));

    const opened = await page.goto(link);
    check(opened.status() === 200, `${name}: opened with ${opened.status()}`);
    await page.screenshot({ path: join(shots, `${name}-question.png`) });
    check((await page.getByRole("button").count()) === 1, `${name}: one button`);
    check(await page.getByText(handle).isVisible(), `${name}: the handle is shown`);
    const box = await page.getByRole("button").boundingBox();
    check(box.x >= 0 && box.x + box.width <= width && box.height >= 44, `${name}: a thumb hits the button`);
    check((await post("login", { handle, password })).text.includes("608"), `${name}: nothing happened yet`);

    await page.getByRole("button").click();
    await page.waitForLoadState();
    await page.screenshot({ path: join(shots, `${name}-done.png`) });
    check(await page.getByText("is ready").isVisible(), `${name}: done`);
    check((await post("login", { handle, password })).status === 200, `${name}: the account is there`);

    const again = await page.goto(link);
    check(again.status() === 200, `${name}: the link still opens`);
    await page.getByRole("button").click();
    await page.waitForLoadState();
    await page.screenshot({ path: join(shots, `${name}-again.png`) });
    check(await page.getByText("confirmed already").isVisible(), `${name}: told kindly`);
    if (javaScriptEnabled) {
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      check(!overflow, `${name}: nothing overflows`);
    }
    const others = complaints.filter((text) => !text.includes("status of 400"));
    check(foreign.length === 0, `${name}: asked for ${foreign}`);
    check(others.length === 0, `${name}: ${others}`);
    await context.close();
    console.log(`browser: ${name} holds`);
  }
}

for (const javaScriptEnabled of [true, false]) {
  const name = `scanner-${javaScriptEnabled ? "with" : "without"}-javascript`;
  const handle = `${name}@example.com`;
  check((await post("signup", { handle, password })).text === "true", "signed up");
  const link = await linkFor(handle);
  const scanner = await browser.newContext({ javaScriptEnabled, extraHTTPHeaders: from("203.0.113.9") });
  const page = await scanner.newPage();
  for (let round = 0; round < 50; round += 1) {
    await page.goto(link);
    // Half of the time it skips what the form demands, as a program may.
    if (round % 2 === 0) await page.locator("form").evaluate((form) => (form.noValidate = true));
    for (const button of await page.getByRole("button").all()) await button.click();
    await page.waitForLoadState();
    check(!(await page.getByText("is ready").isVisible()), `${name}: the scanner completed a sign-up`);
  }
  await scanner.close();
  check((await post("login", { handle, password })).text.includes("608"), `${name}: no user exists`);

  // The owner opens the mail on a phone, at a third address.
  const phone = await browser.newContext({
    viewport: { width: 360, height: 740 },
    javaScriptEnabled,
    extraHTTPHeaders: from("198.51.100.3"),
  });
  const owner = await phone.newPage();
  await owner.goto(link);
  await owner.screenshot({ path: join(shots, `${name}-password.png`) });
  await owner.getByLabel("Password").fill("correct horse");
  await owner.getByRole("button").click();
  await owner.getByRole("alert").waitFor();
  await owner.screenshot({ path: join(shots, `${name}-wrong.png`) });
  await owner.getByLabel("Password").fill("correct horse battery staple");
  await owner.getByRole("button").click();
  check(await owner.getByText("is ready").isVisible(), `${name}: the owner is in`);
  check((await post("login", { handle, password })).status === 200, `${name}: the account is there`);
  await phone.close();
  console.log(`browser: ${name} holds`);
}
await browser.close();

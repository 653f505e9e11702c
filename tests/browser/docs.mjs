// The description of the API as a page, in headless Chromium, narrow and wide: it shows every part, asks no other server for
// anything, and breaks no rule of its own policy. LATCHKEY_URL, LATCHKEY_SHOTS.
import { join } from "node:path";
import { chromium } from "playwright-core";

const url = process.env.LATCHKEY_URL;
const shots = process.env.LATCHKEY_SHOTS;

function check(held, what) {
  if (!held) throw new Error(what);
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  for (const width of [390, 1280]) {
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    const wrong = [];
    page.on("request", (request) => {
      const to = request.url();
      if (!to.startsWith(url) && !to.startsWith("data:")) wrong.push(`asked ${to}`);
    });
    page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
    page.on("pageerror", (error) => wrong.push(String(error)));
    await page.goto(`${url}/docs`);
    const login = page.locator("#operations-user_API-login");
    await login.waitFor();
    for (const part of ["user_API", "administration", "public"]) {
      check((await page.locator(`[id^="operations-${part}-"]`).count()) > 2, `nothing of ${part}`);
    }
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    check(overflow <= 0, `${overflow} pixels too wide at ${width}`);
    await login.locator("button.opblock-summary-control").click();
    await login.getByText("invalid login credentials").first().waitFor();
    check(wrong.length === 0, wrong.join("\n"));
    await login.screenshot({ path: join(shots, `docs-${width}.png`) });
    await page.close();
  }
} finally {
  await browser.close();
}
console.log("docs: everything from this server alone");

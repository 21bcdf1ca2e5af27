/**
 * Controls a browser over pipes: one JSON command per line on stdin, one JSON result per line on stdout.
 *
 * `{"open": {...}}` opens a page with its own profile and returns its number; `{"page": n, "tab": true}` opens another page
 * with the profile of page `n`; `{"page": n, "close": true}` closes a profile with its pages; `{"page": n, "offline": true}`
 * disconnects it from the network;
 * `{"page": n, "call": "keyboard.press", "with": ["Enter"]}` calls playwright; `{"page": n, "until": "..."}` waits until
 * an expression is true; `{"page": n, "seen": true}` returns the requests, dialogs, messages and errors of the page.
 *
 * Starting a renderer takes a second of CPU. A closed page with the same options is therefore used again, unless its
 * profile has been changed. Every server has its own port, so that nothing stored by earlier pages is seen.
 */

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(new URL("../node/package.json", import.meta.url))("playwright-core");
const [executablePath] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  args: [
    ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    ...["--disable-component-update", "--disable-sync"],
    "--host-resolver-rules=MAP *.test 127.0.0.1", // a name that is not a secure context
  ],
});
const pages = [];
const idle = new Map(); // the number of a page that can be used again, by its options
const CHANGES_PROFILE = ["addInitScript", "clock.install"];

const TIMEOUT_MS = 60_000;
const POLL_MS = 20;

async function open(context, options) {
  const page = await context.newPage();
  const seen = { requests: [], dialogs: [], console: [], errors: [], violations: [] };
  page.setDefaultTimeout(TIMEOUT_MS);
  context.on("request", (request) => seen.requests.push(request.url()));
  page.on("console", (message) => seen.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("dialog", (dialog) => {
    seen.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  await page.exposeBinding("reportViolation", (_source, violation) => seen.violations.push(violation));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) => {
      window.reportViolation(`${violatedDirective} ${blockedURI} ${sample}`);
    });
  });
  pages.push({ context, page, seen, options });
  return pages.length - 1;
}

async function openProfile(look) {
  const options = JSON.stringify(look);
  const number = idle.get(options);
  if (number === undefined) return open(await browser.newContext(look), options);
  idle.delete(options);
  for (const records of Object.values(pages[number].seen)) records.length = 0;
  return number;
}

async function close(number) {
  const { context, page, options } = pages[number];
  if (options === undefined || idle.has(options)) return context.close();
  await page.goto("about:blank");
  idle.set(options, number);
}

async function run(command) {
  if (command.open) return openProfile(command.open);
  if (command.close) return close(command.page);
  const { context, page, seen } = pages[command.page];
  if (command.tab || "offline" in command || CHANGES_PROFILE.includes(command.call)) delete pages[command.page].options;
  if (command.tab) return open(context);
  if ("offline" in command) return context.setOffline(command.offline);
  if (command.seen) return seen;
  if (command.until) return until(page, command.until);
  const names = command.call.split(".");
  const method = names.pop();
  const owner = names.reduce((object, name) => object[name], page);
  return owner[method](...command.with);
}

/** Replaces `page.waitForFunction`, which the page's Content-Security-Policy blocks. */
async function until(page, expression) {
  const endMs = performance.now() + TIMEOUT_MS;
  while (!(await page.evaluate(expression))) {
    if (performance.now() > endMs)
      throw new Error(`not within ${TIMEOUT_MS} ms: ${expression}\n${await page.innerText("body")}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await run(JSON.parse(line)).then(
    (result) => ({ result: jsonOf(result) }),
    (failure) => ({ failure: String(failure) }),
  );
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
await browser.close();

/** The result of a call if it can be represented as JSON, otherwise null. */
function jsonOf(result) {
  const isPlain = result === null || typeof result !== "object" || Array.isArray(result);
  return isPlain || Object.getPrototypeOf(result) === Object.prototype ? (result ?? null) : null;
}

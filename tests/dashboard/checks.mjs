// What must hold of the dashboard. Each check gets a page of its own.

import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { TOKEN } from "./scene.mjs";

const LIMIT = { timeout: 15_000 };
/** For what has to wait for every program of the scene, on a machine with much else to do. */
const PATIENT = { timeout: 60_000 };
/** Chromium writes a line for each answer of a wrong token: that is the check's own doing. */
const REFUSED = /status of 401/;

export function must(condition, words) {
  if (!condition) throw new Error(words);
}

const row = (page, section, name) => page.locator(`#${section} tbody tr`, { has: page.locator("th", { hasText: name }) });
const stateOf = (page, section, name) => row(page, section, name).locator("td[data-state]").getAttribute("data-state");
const tile = (page, name) => page.locator(".tile", { hasText: name }).locator(".number");
const isDraining = async (scene, name) => (await scene.json("/api/v1/servers")).servers.find((server) => server.name === name).is_draining;

async function untilRowSays(page, section, name, states) {
  await page.waitForFunction(([section, name, states]) => [...document.querySelectorAll(`#${section} tbody tr`)]
    .some((row) => row.querySelector("th").textContent === name && states.includes(row.querySelector("td[data-state]")?.dataset.state)), [section, name, states], LIMIT);
}

/** Goal: the numbers move, and are those of the API. */
export async function showsLiveNumbers(browser, scene) {
  const page = await browser.open(scene.url);
  await page.getByRole("status").filter({ hasText: "Serving, ready" }).waitFor(PATIENT);
  await page.waitForFunction(() => document.querySelectorAll("#servers tbody tr").length === 4 && document.querySelectorAll("#clients tbody tr").length === 4, null, PATIENT);
  const requests = async () => Number((await row(page, "clients", "bank-otp").locator("td").nth(9).textContent()).replaceAll(",", ""));
  const counted = async () => (await scene.json("/api/v1/clients")).clients.find((client) => client.system_id === "bank-otp").requests;
  let seen = null;
  const rateShown = async () => Number((await tile(page, "MT, from clients").textContent()).replaceAll(",", ""));
  // Engines that do not answer in time on a busy machine are missing in both for a moment: then it is looked at again.
  await scene.until(async () => {
    const before = await counted();
    await page.waitForTimeout(1500);
    const first = await requests();
    await page.waitForTimeout(2500);
    const second = await requests();
    seen = { before, first, second, after: await counted(), rate: await rateShown() };
    return before <= first && first < second && second <= seen.after && seen.rate > 700 && seen.rate < 1100;
  }, "the page's requests grow between those of the API, and of 920 messages a second it tells", PATIENT.timeout).catch((error) => must(false, `${JSON.stringify(seen)} ${error.message.slice(0, 200)}`));
  const { first, second, rate } = seen;
  must(await tile(page, "Servers bound").textContent() === "4", "servers bound");
  const queued = (await scene.json("/api/v1/queue")).messages;
  must(await tile(page, "Queue").textContent() === String(queued) && queued > 0, `${queued} messages are queued`);
  must(await page.locator("#charts path.line").count() === 6, "six lines in three charts");
  must(await page.locator("#topology-picture .band").count() >= 8, "bands of messages between clients, cores and servers");
  return [page, `MT ${rate}/s, ${second - first} requests more in 2.5 s, ${queued} queued`];
}

/** Goal: a wrong token is refused with words, the right one lets a server be drained and undrained, and the API says the same. */
export async function drainsByMouse(browser, scene) {
  const page = await browser.open(scene.url, { expected: [REFUSED] });
  await untilRowSays(page, "servers", "oslo-1", ["up"]);
  await page.getByRole("button", { name: "Drain server oslo-1" }).click();
  const dialog = page.getByRole("dialog", { name: "Allow changes" });
  await dialog.getByLabel("Token").fill("0123456789abcdef-a-wrong-one");
  await dialog.getByRole("button", { name: "Use token" }).click();
  await dialog.getByRole("alert").filter({ hasText: "This is not the token." }).waitFor(LIMIT);
  must(!(await isDraining(scene, "oslo-1")), "nothing has changed");
  await dialog.getByLabel("Token").fill(TOKEN);
  await dialog.getByRole("button", { name: "Use token" }).click();
  const question = page.getByRole("dialog", { name: "Drain oslo-1?" });
  await question.getByRole("button", { name: "Drain oslo-1" }).click();
  await page.getByRole("status").filter({ hasText: "oslo-1 gets no new submits" }).waitFor(LIMIT);
  must(await isDraining(scene, "oslo-1"), "the API knows of the drain");
  await untilRowSays(page, "servers", "oslo-1", ["draining", "drained"]);
  await page.waitForFunction(() => [...document.querySelectorAll("#topology-picture .node")].some((node) => /^(draining|drained)$/.test(node.dataset.state ?? "")), null, LIMIT);
  await page.getByRole("button", { name: "Undrain server oslo-1" }).click();
  await page.getByRole("status").filter({ hasText: "oslo-1 gets submits again" }).waitFor(LIMIT);
  must(!(await isDraining(scene, "oslo-1")), "the API knows of its end");
  const kept = await page.evaluate(() => [location.href, document.cookie, JSON.stringify(localStorage)].join(" "));
  must(!kept.includes(TOKEN), "the token is in no address, cookie or lasting store");
  await page.getByRole("button", { name: "Forget token" }).click();
  must(await page.evaluate(() => sessionStorage.length) === 0, "it is forgotten");
  return [page, "a wrong token refused; drain and undrain as the API has them"];
}

/** Goal: all of that by the keyboard alone, with the focus where one can go on. */
export async function drainsByKeyboard(browser, scene) {
  const page = await browser.open(scene.url);
  await untilRowSays(page, "clients", "clinic", ["bound"]);
  await page.getByRole("button", { name: "Drain client clinic" }).waitFor(LIMIT);
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent.trim());
  await page.keyboard.press("Tab");
  must(await focused() === "Skip to the figures", "the first stop skips the head");
  let steps = 1;
  while (await focused() !== "Drain client clinic") {
    await page.keyboard.press("Tab");
    steps += 1;
    must(steps < 120, "the button is reached by tabs");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    must(outline !== "none", `the focus is seen on ${await focused()}`);
  }
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Allow changes" }).waitFor(LIMIT);
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.querySelector("dialog[open]") === null, null, LIMIT);
  must(await focused() === "Drain client clinic", "who cancels is back at the button");
  await page.keyboard.press("Enter");
  // What is typed before it is open is lost.
  await page.getByRole("dialog", { name: "Allow changes" }).getByLabel("Token").and(page.locator(":focus")).waitFor(LIMIT);
  await page.keyboard.type(TOKEN);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Drain clinic?" }).waitFor(LIMIT);
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "clinic may not bind" }).waitFor(LIMIT);
  await untilRowSays(page, "clients", "clinic", ["draining", "drained"]);
  await page.waitForTimeout(1500);
  must(await focused() === "Undrain client clinic", `the focus has stayed: ${await focused()}`);
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "clinic may bind again" }).waitFor(LIMIT);
  await untilRowSays(page, "clients", "clinic", ["bound", "gone"]);
  return [page, `${steps} tabs to the button; Escape, Enter and the token did the rest`];
}

/** Goal: no violation of WCAG 2.2 A and AA that axe finds, in both schemes and on a narrow screen, with a dialog too. */
export async function isAccessible(browser, scene, modules) {
  const axe = await readFile(createRequire(modules).resolve("axe-core/axe.min.js"), "utf8");
  const found = [];
  let passed = 0;
  let last = null;
  for (const [scheme, width, hasDialog] of [["light", 1280, false], ["dark", 1280, false], ["dark", 400, false], ["light", 1280, true], ["dark", 1280, true]]) {
    await last?.close();
    const page = await browser.open(scene.url, { scheme, width, motion: "reduce" });
    last = page;
    await untilRowSays(page, "servers", "oslo-1", ["up"]);
    if (hasDialog) await page.getByRole("button", { name: "Enter token…" }).click();
    // As a debugger does, past the page's policy, which would not let it in.
    await page.evaluate(axe);
    const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
    passed += passes.length;
    found.push(...violations.map(({ id, nodes }) => `${scheme} ${width}: ${id} ${nodes[0].html.slice(0, 160)} ${nodes[0].failureSummary.slice(0, 200)}`));
    must(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${width} pixels: nothing sticks out`);
    const moves = await page.evaluate(() => document.getAnimations().length);
    must(moves === 0, "nothing moves for who wants it still");
    must(page.wrongs.length === 0, page.wrongs.join("\n"));
  }
  must(found.length === 0, found.join("\n"));
  return [last, `${passed} rules passed on five pages`];
}

/** Goal: both schemes are really different, and each is what was asked for. */
export async function hasBothSchemes(browser, scene) {
  const brightness = {};
  let page = null;
  for (const scheme of ["light", "dark"]) {
    await page?.close();
    page = await browser.open(scene.url, { scheme });
    const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    brightness[scheme] = colour.match(/\d+/g).map(Number).reduce((one, other) => one + other) / 3;
  }
  must(brightness.light > 200 && brightness.dark < 60, JSON.stringify(brightness));
  return [page, `background ${Math.round(brightness.light)} and ${Math.round(brightness.dark)} of 255`];
}

/** Goal: what smppmux sends with the page keeps foreign scripts and frames out. */
export async function isGuarded(browser, scene) {
  const answer = await scene.get("/");
  const policy = answer.headers.get("content-security-policy");
  for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]) must(policy.includes(part), `${part}: ${policy}`);
  must(!policy.includes("unsafe"), policy);
  must(answer.headers.get("x-content-type-options") === "nosniff", "nosniff");
  const page = await browser.open(scene.url, { expected: [/policy|Content Security Policy|Content-Security-Policy/i] });
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "globalThis.intruder = true";
    document.head.append(script);
    return globalThis.intruder === true;
  });
  must(!ran, "a script that is written into the page does not run");
  return [page, policy];
}

/** Goal: a name that looks like markup stays text. */
export async function keepsNamesAsText(browser, scene) {
  const page = await browser.open(scene.url);
  const name = "<img src=x onerror=alert(1)>";
  await row(page, "servers", name).waitFor(LIMIT);
  must(await page.locator("#servers tbody img, #topology-picture img").count() === 0, "no element of it");
  const button = page.getByRole("button", { name: `Drain server ${name}` });
  // It is there when the page knows that changes are possible.
  await button.first().waitFor(LIMIT);
  must(await button.count() === 1, "its button says it");
  return [page, "shown as it is, in table, picture and button"];
}

/** Goal: without a configured token the page says how changes are made, and has no button that would fail. */
export async function explainsItselfWithoutToken(browser, scene) {
  const page = await browser.open(scene.url);
  await page.getByText("Read only: without token-file under [admin] changes go by smppmux ctl").waitFor(LIMIT);
  await page.waitForFunction(() => document.querySelectorAll("#servers tbody tr").length > 0, null, LIMIT);
  must(await page.locator("#servers tbody button:visible").count() === 0, "no drain buttons");
  must(await page.getByRole("button", { name: "Enter token…" }).count() === 0, "nothing to enter");
  return [page, "says so, and shows no buttons"];
}

/** Goal: when nothing comes any more over a connection that stands, the page takes another one by itself. */
export async function triesAgainAfterSilence(browser, scene) {
  let asked = 0;
  await browser.context.route("**/api/v1/events", (route) => {
    asked += 1;
    // The first one is never answered.
    if (asked > 1) route.continue();
  });
  try {
    const page = await browser.open(scene.url);
    await page.getByRole("status").filter({ hasText: /Serving|Not ready/ }).waitFor({ timeout: 30_000 });
    must(asked === 2, `it asked ${asked} times`);
    return [page, "the second connection has the figures"];
  } finally {
    await browser.context.unroute("**/api/v1/events");
  }
}

/** Goal: when smppmux goes the page says so and keeps its last figures; when it is back they go on, without a reload of the page. */
export async function comesBack(browser, scene) {
  const page = await browser.open(scene.url, { expected: [/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/] });
  await page.getByRole("status").filter({ hasText: /Serving|Not ready/ }).waitFor(LIMIT);
  scene.smppmux.child.kill("SIGKILL");
  await page.getByRole("status").filter({ hasText: "No connection to smppmux" }).waitFor(LIMIT);
  must(await page.locator("#servers tbody tr").count() > 0, "the last figures are still there");
  scene.smppmux = scene.start("smppmux again", "serve", "--config", scene.file);
  await page.getByRole("status").filter({ hasText: /Serving|Not ready/ }).waitFor({ timeout: 30_000 });
  return [page, "told, and gone on with"];
}

/** Goal: with a thousand of each the page stays fast, says what it leaves out, and the filter finds what is left out. */
export async function standsACrowd(browser, scene) {
  const page = await browser.open(scene.url);
  await page.waitForFunction(() => document.querySelectorAll("#clients tbody tr").length >= 25, null, LIMIT);
  must(await page.locator("#servers tbody tr").count() === 25, "25 rows at first");
  const rest = await page.locator("#clients .rest").textContent();
  must(rest.includes("800 clients left out"), rest);
  const size = JSON.stringify(await scene.json("/api/v1/clients")).length;
  const text = await (await scene.get("/api/v1/events?count=1")).text();
  must(text.length < 256 * 1024, `an event of ${text.length} octets`);
  const hidden = (await scene.json("/api/v1/clients")).clients.map((client) => client.system_id)
    .find((name) => !text.includes(`"${name}"`));
  await page.getByRole("searchbox", { name: "Filter clients by name" }).fill(hidden);
  await row(page, "clients", hidden).first().waitFor(LIMIT);
  const button = page.getByRole("button", { name: `Drain client ${hidden}`, exact: true });
  await button.first().waitFor(LIMIT);
  must(await button.count() === 1, "it can be drained");
  must(await page.locator("#topology-picture .node", { hasText: "992 more clients" }).count() === 1, "the picture says how many more");
  const spent = await page.evaluate(() => new Promise((resolve) => {
    const long = [];
    new PerformanceObserver((list) => long.push(...list.getEntries().map((entry) => entry.duration))).observe({ entryTypes: ["longtask"] });
    setTimeout(() => resolve(long), 5000);
  }));
  const longest = Math.max(0, ...spent);
  must(longest < 400, `the longest task took ${longest} ms`);
  return [page, `an event has ${Math.round(text.length / 1024)} KiB (all clients: ${Math.round(size / 1024)} KiB), the longest task ${Math.round(longest)} ms`];
}

/** Goal: as many as the manual says watch at once, and one more is refused and not served badly. */
export async function isSharedFairly(browser, scene) {
  const page = await browser.open(scene.url);
  await page.getByRole("status").filter({ hasText: /Serving|Not ready/ }).waitFor(LIMIT);
  const watch = () => fetch(`${scene.url}/api/v1/events`);
  const watchers = [];
  // The place of the page before may be free a moment later.
  await scene.until(async () => {
    const answer = await watch();
    if (answer.ok) watchers.push(answer);
    else await answer.body.cancel();
    return watchers.length === 31;
  }, "31 more watch");
  const refused = await watch();
  must(refused.status === 503, `one more is refused: ${refused.status}`);
  await Promise.all([...watchers, refused].map((answer) => answer.body.cancel()));
  await scene.until(async () => {
    const answer = await watch();
    await answer.body.cancel();
    return answer.ok;
  }, "there are places again");
  return [page, "32 watch, one more is refused"];
}

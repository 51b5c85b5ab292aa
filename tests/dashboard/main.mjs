// Runs the checks of the dashboard against a real smppmux in a real browser, and takes its pictures.
//
//   node main.mjs --smppmux PROGRAM --modules FOLDER --chromium PROGRAM [--only NAME] [--page FOLDER] [--screenshots FOLDER]
//
// --page serves the page's files from a folder instead of out of the program: for work on the page without a build.

import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Browser } from "./browser.mjs";
import * as checks from "./checks.mjs";
import { TOKEN, crowd, odd, usual } from "./scene.mjs";

/** Each scene with the checks that are made in it, in this order. */
const PLAN = [
  [(program) => usual(program), ["showsLiveNumbers", "hasBothSchemes", "isGuarded", "isAccessible", "drainsByMouse", "drainsByKeyboard"]],
  [(program) => odd(program), ["keepsNamesAsText", "isSharedFairly", "triesAgainAfterSilence", "comesBack"]],
  [(program) => odd(program, { withToken: false }), ["explainsItselfWithoutToken"]],
  [(program) => crowd(program, 1000), ["standsACrowd"]],
];

const WIDE = { width: 1280, height: 1010 };
/** Seconds of traffic before a picture: the charts have something to show. */
const PICTURE_AFTER_S = 112;

const { values: options } = parseArgs({
  options: {
    smppmux: { type: "string" }, modules: { type: "string" }, chromium: { type: "string" },
    only: { type: "string" }, page: { type: "string" }, screenshots: { type: "string" },
  },
});
const modules = join(options.modules, "package.json");
const playwright = createRequire(modules)("playwright-core");
let passed = 0;
let failed = 0;

async function check(browser, scene, name) {
  const start = Date.now();
  let page = null;
  try {
    let words;
    [page, words] = await checks[name](browser, scene, modules);
    checks.must(page.wrongs.length === 0, `the page complains:\n${page.wrongs.join("\n")}`);
    passed += 1;
    console.log(`ok      ${name}: ${words} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message}`);
  } finally {
    for (const each of browser.context.pages()) await each.close();
  }
}

async function inScene(make, work) {
  const scene = await make(options.smppmux);
  const browser = await Browser.launch(playwright, options.chromium, options.page);
  try {
    await work(browser, scene);
  } finally {
    await browser.close();
    await scene.end();
  }
}

async function takePictures(folder) {
  await inScene(usual, async (browser, scene) => {
    // The first seconds of everybody would set the scale of the charts.
    await setTimeout(5000);
    const light = await browser.open(scene.url, WIDE);
    await light.waitForTimeout(PICTURE_AFTER_S * 1000);
    await light.screenshot({ path: join(folder, "dashboard-light.png") });
    await fetch(`${scene.url}/api/v1/servers/oslo-2/drain`, { method: "POST", headers: { Authorization: `Bearer ${TOKEN}` } });
    for (const [name, options] of [["dashboard-dark", { ...WIDE, scheme: "dark" }], ["dashboard-narrow", { width: 400, height: 860, scheme: "dark" }]]) {
      const page = await browser.open(scene.url, options);
      await page.waitForTimeout(4000);
      await page.screenshot({ path: join(folder, `${name}.png`) });
    }
  });
}

if (options.screenshots) {
  await takePictures(options.screenshots);
} else {
  for (const [make, names] of PLAN) {
    const wanted = names.filter((name) => !options.only || name.includes(options.only));
    if (wanted.length === 0) continue;
    try {
      await inScene(make, async (browser, scene) => {
        for (const name of wanted) await check(browser, scene, name);
      });
    } catch (error) {
      failed += wanted.length;
      console.log(`FAILED  ${wanted.join(", ")}: the scene: ${error.message}`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
}
process.exit(failed === 0 ? 0 : 1);

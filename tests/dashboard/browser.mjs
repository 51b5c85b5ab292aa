// The browser, and pages that hold a grudge: whatever goes wrong in them, or is blocked by their policy, is remembered.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const TYPES = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" };

export class Browser {
  static async launch(playwright, program, pageFolder) {
    const browser = new Browser();
    browser.profile = await mkdtemp(join(tmpdir(), "smppmux-chromium-"));
    browser.pageFolder = pageFolder;
    browser.context = await playwright.chromium.launchPersistentContext(browser.profile, { executablePath: program, headless: true, args: FLAGS });
    return browser;
  }

  /** A page of its own width and scheme. `expected` are errors that belong to the check. */
  async open(url, { width = 1280, height = 900, scheme = "light", motion = "no-preference", expected = [] } = {}) {
    const page = await this.context.newPage();
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: motion });
    page.wrongs = [];
    const note = (words) => {
      if (!expected.some((pattern) => pattern.test(words))) page.wrongs.push(words);
    };
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && note(`console: ${message.text()}`));
    page.on("pageerror", (error) => note(`error: ${error.message}`));
    page.on("request", (request) => !request.url().startsWith(url) && note(`another place: ${request.url()}`));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    if (this.pageFolder) await this.serveFrom(page);
    await page.goto(url);
    return page;
  }

  /** For work on the page: its files come from a folder and not out of the program, whose policy holds all the same. */
  async serveFrom(page) {
    await page.route((address) => address.pathname === "/" || address.pathname.startsWith("/dashboard/"), async (route) => {
      const name = basename(new URL(route.request().url()).pathname) || "index.html";
      const answer = await route.fetch().catch(() => null);
      const headers = answer ? answer.headers() : {};
      delete headers["content-length"];
      const body = await readFile(join(this.pageFolder, name));
      await route.fulfill({ status: 200, headers: { ...headers, "content-type": `${TYPES[name.split(".").pop()]}; charset=utf-8` }, body });
    });
  }

  async close() {
    await this.context.close();
    await rm(this.profile, { recursive: true, force: true });
  }
}

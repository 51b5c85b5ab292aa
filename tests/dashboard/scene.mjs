// What the dashboard looks at: simulated SMSCs, smppmux between, simulated ESMEs; and a crowd of a thousand of each.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const TOKEN = "0123456789abcdef-of-the-dashboard";
const START_LIMIT_MS = 20_000;
const END_LIMIT_MS = 10_000;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

const uid = (number) => number.toString(36).toUpperCase().padStart(2, "0");

/** Programs and a folder that end with the scene. */
export class Scene {
  constructor(program) {
    this.program = program;
    this.children = [];
    this.sockets = [];
  }

  start(name, ...parameters) {
    const child = spawn(this.program, parameters, { stdio: ["ignore", "ignore", "pipe"] });
    const entry = { name, child, log: "" };
    child.stderr.on("data", (data) => (entry.log = (entry.log + data).slice(-20_000)));
    this.children.push(entry);
    return entry;
  }

  /** Starts smppmux with this configuration; `[admin]` is added, with a token if wanted. */
  async serve(configuration, { withToken = true } = {}) {
    this.folder = await mkdtemp(join(tmpdir(), "smppmux-dashboard-"));
    this.adminPort = await freePort();
    this.url = `http://127.0.0.1:${this.adminPort}`;
    const tokenFile = join(this.folder, "token");
    await writeFile(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
    this.socket = join(this.folder, "socket");
    const admin = `[admin]\nlisten = "127.0.0.1:${this.adminPort}"\nsocket = "${this.socket}"\n`
      + (withToken ? `token-file = "${tokenFile}"\n` : "");
    this.file = join(this.folder, "smppmux.toml");
    await writeFile(this.file, admin + configuration);
    this.smppmux = this.start("smppmux", "serve", "--config", this.file);
    await this.until(async () => (await this.get("/healthz")).ok, "smppmux answers");
  }

  async get(path) {
    return fetch(this.url + path);
  }

  async json(path) {
    return (await this.get(path)).json();
  }

  async until(condition, words, limit = START_LIMIT_MS) {
    const end = Date.now() + limit;
    let last = "";
    while (Date.now() < end) {
      try {
        if (await condition()) return;
      } catch (error) {
        last = ` (${error.message})`;
      }
      await sleep(100);
    }
    const logs = this.children.map(({ name, log }) => `--- ${name}\n${log.slice(-2000)}`).join("\n");
    throw new Error(`not in ${limit / 1000} s: ${words}${last}\n${logs}`);
  }

  async end() {
    for (const socket of this.sockets) socket.destroy();
    const ends = this.children.map(async ({ child }) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), END_LIMIT_MS);
      await ended;
      clearTimeout(timer);
    });
    await Promise.all(ends);
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }
}

/** Some SMSCs and clients with traffic both ways, and messages that wait for a client that is away. */
export async function usual(program, options) {
  const scene = new Scene(program);
  const names = ["berlin-1", "berlin-2", "oslo-1", "oslo-2"];
  const delays = ["exp:4ms", "exp:6ms", "exp:15ms", "exp:25ms"];
  const ports = [];
  for (const [place, name] of names.entries()) {
    const port = await freePort();
    ports.push(port);
    const traffic = place % 2 === 0 ? ["--mo", `888765=${60 + 30 * place}:1000000`] : ["--mo", `4479=${40 * place}:1000000`];
    const waiting = place === 3 ? ["--mo", "7700{n:02}=20:60"] : [];
    scene.start(name, "smsc", "--listen", `127.0.0.1:${port}`, "--delay", delays[place], "--error", "0.4%=ESME_RSUBMITFAIL", "--ignore-ranges", ...traffic, ...waiting);
  }
  const port = await freePort();
  const client = (id, ranges) => `[[client]]\nsystem-id = "${id}"\npassword = "secret"\naddress-ranges = [${ranges.map((range) => `"${range}"`).join(", ")}]\n`;
  const servers = names.map((name, place) => `[[server]]\nname = "${name}"\nuid = "${uid(place + 10)}"\naddress = "127.0.0.1:${ports[place]}"\nsystem-id = "mux"\npassword = "secret"\n`);
  await scene.serve(`[engine]\ncores = "0,0,0"\n[queue]\nstore = "memory"\n[receipts]\nstore = "memory"\n
[[vserver]]\nname = "sms"\nlisten = ["127.0.0.1:${port}"]\n${servers.join("")}
${client("bank-otp", [])}${client("parcel-news", ["888765"])}${client("clinic", ["4479"])}${client("two-way-shop", ["4478", "888764"])}${client("away", ["7700"])}`, options);
  await scene.until(async () => (await scene.json("/api/v1/status")).servers_bound === names.length, "the servers are bound");
  const esme = (id, rate, ...more) => scene.start(id, "esme", "--target", `127.0.0.1:${port}`, "--system-id", id, "--password", "secret", "--rate", String(rate), "--duration", "1h", "--connections", "3", ...more);
  esme("bank-otp", 420);
  esme("parcel-news", 260, "--address-range", "888765", "--registered-delivery", "1");
  esme("clinic", 90, "--address-range", "4479");
  esme("two-way-shop", 150, "--address-range", "4478");
  await scene.until(async () => (await scene.json("/api/v1/status")).client_sessions === 12, "the clients are bound");
  return scene;
}

/** One server that is down, and whose name looks like markup. */
export async function odd(program, options) {
  const scene = new Scene(program);
  const [smsc, port] = [await freePort(), await freePort()];
  await scene.serve(`[engine]\ncores = "0"\n[queue]\nstore = "off"\n[[vserver]]\nname = "sms"\nlisten = ["127.0.0.1:${port}"]
[[server]]\nname = "<img src=x onerror=alert(1)>"\nuid = "0A"\naddress = "127.0.0.1:${smsc}"\nsystem-id = "mux"\npassword = "secret"
[[client]]\nsystem-id = "app"\npassword = "secret"\n`, options);
  return scene;
}

function bindTransceiver(systemId) {
  const body = Buffer.concat([Buffer.from(`${systemId}\0secret\0\0`), Buffer.from([0x34, 0, 0, 0])]);
  const head = Buffer.alloc(16);
  [16 + body.length, 0x0000_0009, 0, 1].forEach((word, place) => head.writeUInt32BE(word, 4 * place));
  return Buffer.concat([head, body]);
}

/** So many servers (at one simulated SMSC) and so many bound clients. */
export async function crowd(program, size) {
  const scene = new Scene(program);
  const [smsc, port] = [await freePort(), await freePort()];
  scene.start("smsc", "smsc", "--listen", `127.0.0.1:${smsc}`);
  const numbers = Array.from({ length: size }, (_, number) => number);
  const servers = numbers.map((number) => `[[server]]\nname = "smsc-${number}"\nuid = "${uid(number)}"\naddress = "127.0.0.1:${smsc}"\nsystem-id = "mux"\npassword = "secret"\n`);
  const clients = numbers.map((number) => `[[client]]\nsystem-id = "client-${number}"\npassword = "secret"\n`);
  await scene.serve(`[engine]\ncores = "0"\n[queue]\nstore = "off"\n[[vserver]]\nname = "sms"\nlisten = ["127.0.0.1:${port}"]\n${servers.join("")}${clients.join("")}`);
  await scene.until(async () => (await scene.json("/api/v1/status")).servers_bound === size, "the servers are bound", 60_000);
  for (const number of numbers) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    scene.sockets.push(socket);
    await once(socket, "connect");
    socket.write(bindTransceiver(`client-${number}`));
  }
  await scene.until(async () => (await scene.json("/api/v1/status")).client_sessions === size, "the clients are bound", 60_000);
  return scene;
}


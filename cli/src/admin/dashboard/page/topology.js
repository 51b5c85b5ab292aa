// The picture of the traffic: clients, cores, servers, and between them a band for each flow, as wide as it has messages.

import { byId, html, svg } from "./dom.js";
import { count, counted, cut, percent, shortRate } from "./format.js";
import { SIGNS, nameOfClient, stateOfServer } from "./parties.js";

const CORES_MAX = 8;
const GAP = 12;
/** What the busiest side of a node is wide in all. */
const BANDS = 34;
const NARROW = 640;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** The first cores, and the others as one. */
function fold(rates) {
  if (rates.length <= CORES_MAX) return rates;
  return [...rates.slice(0, CORES_MAX - 1), sum(rates.slice(CORES_MAX - 1))];
}

function partyNode(flow, name, noun, state) {
  const rates = { mt: fold(flow.mobile_terminated), mo: fold(flow.mobile_originated) };
  const others = counted(flow.parties, `more ${noun}`);
  const isOther = flow.name === null;
  const unwell = flow.unwell > 0 ? ` · ${count(flow.unwell)} not up` : "";
  return { title: isOther ? `${others}${unwell}` : name, state: isOther ? null : state, rates, mt: sum(rates.mt), mo: sum(rates.mo) };
}

function coreNodes(figures) {
  const nodes = figures.cores.map((core) => ({ title: `core ${core.core}`, load: core.load, c2c: core.core_messages_sent_per_second }));
  if (nodes.length <= CORES_MAX) return nodes;
  const others = nodes.slice(CORES_MAX - 1);
  const load = sum(others.map((core) => core.load)) / others.length;
  return [...nodes.slice(0, CORES_MAX - 1), { title: `${count(others.length)} more cores`, load, c2c: sum(others.map((core) => core.c2c)) }];
}

/** Gives each node of a column its place. */
function place(nodes, x, width, size, height) {
  const free = height - nodes.length * size;
  const gap = nodes.length > 1 ? Math.min(GAP * 2, free / (nodes.length - 1)) : 0;
  const top = (height - nodes.length * size - gap * (nodes.length - 1)) / 2;
  nodes.forEach((node, at) => Object.assign(node, { x, width, height: size, y: top + at * (size + gap), used: { left: 0, right: 0 } }));
}

/** Bands between a party and the cores. Those of one side of a node lie side by side, around its middle. */
function bands(parties, cores, isClient, scale) {
  const drawn = [];
  const side = isClient ? "left" : "right";
  const total = (node, rates) => sum(rates.map((rate) => rate * scale));
  const start = (node, thickness) => node.y + node.height / 2 - thickness / 2;
  parties.forEach((party) => (party.at = start(party, total(party, [party.mt, party.mo]))));
  cores.forEach((core, index) => {
    core.at = start(core, total(core, parties.flatMap((party) => [party.rates.mt[index] ?? 0, party.rates.mo[index] ?? 0])));
  });
  parties.forEach((party) => cores.forEach((core, index) => {
    const ends = [isClient ? party.x + party.width : party.x, side === "left" ? core.x : core.x + core.width];
    const middle = (ends[0] + ends[1]) / 2;
    const path = (one, other) => `M${ends[0]} ${one.toFixed(1)}C${middle} ${one.toFixed(1)} ${middle} ${other.toFixed(1)} ${ends[1]} ${other.toFixed(1)}`;
    const rates = [["mt", party.rates.mt[index] ?? 0], ["mo", party.rates.mo[index] ?? 0]];
    if (rates.every(([, rate]) => rate === 0)) {
      drawn.unshift(svg("path", { d: path(party.y + party.height / 2, core.y + core.height / 2), class: "idle" }));
    }
    for (const [kind, rate] of rates) {
      if (rate === 0) continue;
      const width = rate * scale;
      const line = svg("path", { d: path(party.at + width / 2, core.at + width / 2), class: `band ${kind}`, "stroke-width": Math.max(1, width).toFixed(1) });
      line.append(svg("title", {}, `${party.title}, ${core.title}: ${kind.toUpperCase()} ${shortRate(rate)}/s`));
      drawn.push(line);
      party.at += width;
      core.at += width;
    }
  }));
  return drawn;
}

function box(node, lines, extra = []) {
  const group = svg("g", { class: "node", "data-state": node.state ?? null });
  group.append(svg("rect", { x: node.x, y: node.y, width: node.width, height: node.height, rx: 5 }));
  const letters = Math.floor((node.width - 16) / 6.6);
  lines.forEach((line, at) => {
    const text = svg("text", { x: node.x + 8, y: node.y + 17 + at * 15, class: at === 0 ? "name" : "small" });
    const sign = at === 0 && node.state ? SIGNS[node.state] : null;
    if (sign) text.append(svg("tspan", { class: "sign" }, `${sign} `));
    text.append(cut(line, letters - (sign ? 2 : 0)));
    group.append(text);
  });
  group.append(svg("title", {}, lines.join(", ") + (node.state ? `, ${node.state}` : "")), ...extra);
  return group;
}

const rates = (node, isNarrow) => {
  const [mt, mo] = [`MT ${shortRate(node.mt)}/s`, `MO ${shortRate(node.mo)}/s`];
  return isNarrow ? [mt, mo] : [`${mt} · ${mo}`];
};

function draw(figures, width) {
  const isNarrow = width < NARROW;
  const size = isNarrow ? 58 : 44;
  const states = new Map(figures.servers.map((server) => [server.name, stateOfServer(server)]));
  const clients = figures.flows.clients.map((flow) => partyNode(flow, nameOfClient({ system_id: flow.name }), "client", null));
  const servers = figures.flows.servers.map((flow) => partyNode(flow, flow.name, "server", states.get(flow.name) ?? null));
  const cores = coreNodes(figures);
  const most = Math.max(clients.length, servers.length, cores.length, 1);
  const height = most * size + (most - 1) * GAP;
  const widths = isNarrow ? [108, 84, 112] : [Math.min(230, width * 0.24), 150, Math.min(240, width * 0.25)];
  place(clients, 1, widths[0], size, height);
  place(cores, (width - widths[1]) / 2, widths[1], size, height);
  place(servers, width - widths[2] - 1, widths[2], size, height);
  const perCore = (parties) => cores.map((_, index) => sum(parties.map((party) => (party.rates.mt[index] ?? 0) + (party.rates.mo[index] ?? 0))));
  const busiest = Math.max(...[...clients, ...servers].map((node) => node.mt + node.mo), ...perCore(clients), ...perCore(servers), 0);
  const scale = busiest > 0 ? BANDS / busiest : 0;
  const picture = svg("svg", { viewBox: `0 -1 ${width} ${height + 2}`, height: height + 2, role: "img" });
  picture.setAttribute("aria-label", `${counted(clients.length, "client")}, ${counted(cores.length, "core")} and ${counted(servers.length, "server")} or groups of them; the tables below have the same figures.`);
  picture.append(...bands(clients, cores, true, scale), ...bands(servers, cores, false, scale));
  picture.append(...clients.map((node) => box(node, [node.title, ...rates(node, isNarrow)])));
  picture.append(...servers.map((node) => box(node, [node.title, ...rates(node, isNarrow)])));
  picture.append(...cores.map((node) => {
    const frame = { x: node.x + 8, y: node.y + node.height - 6, height: 3, rx: 1.5 };
    const whole = node.width - 16;
    const bar = [svg("rect", { ...frame, width: whole, class: "load-frame" }), svg("rect", { ...frame, width: whole * node.load, class: "load" })];
    const load = `load ${percent(node.load)}`;
    const c2c = `C2C ${shortRate(node.c2c)}/s`;
    return box(node, isNarrow ? [node.title, load, c2c] : [`${node.title} · ${load}`, c2c], bar);
  }));
  return picture;
}

export function topology() {
  const frame = byId("topology-picture");
  const none = html("p", { class: "quiet" }, "No client has a session.");
  byId("topology-note").append(html("span", { class: "key mt" }, "MT →"), " ", html("span", { class: "key mo" }, "← MO"), " as wide as they have messages per second");
  let latest = null;
  let width = 0;
  const show = () => {
    if (!latest || width < 100) return;
    none.hidden = latest.flows.clients.length > 0;
    frame.replaceChildren(draw(latest, width), none);
  };
  new ResizeObserver(([entry]) => {
    const changed = Math.floor(entry.contentRect.width);
    if (changed === width) return;
    width = changed;
    show();
  }).observe(frame);
  return (figures) => {
    latest = figures;
    show();
  };
}

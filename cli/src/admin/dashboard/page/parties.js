// The tables of servers and of clients, with what can be ordered for each.

import * as access from "./access.js";
import { html, setAttribute, setText } from "./dom.js";
import { NONE, count, rate, time } from "./format.js";
import { order } from "./orders.js";
import { lookUp } from "./search.js";
import { number, table, withBar } from "./table.js";

/** How each state looks: a sign that differs in shape too. */
export const SIGNS = { up: "●", bound: "●", draining: "◐", starting: "◑", trial: "◒", ejected: "✕", drained: "○", gone: "○", down: "▲" };

export function stateOfServer(server) {
  if (server.is_draining) return server.outstanding === 0 ? "drained" : "draining";
  if (server.sessions === 0) return "down";
  if (server.ejected_cores > 0) return "ejected";
  if (server.trial_cores > 0) return "trial";
  return server.share_percent < 100 ? "starting" : "up";
}

export function stateOfClient(client) {
  if (client.is_draining) return client.sessions === 0 ? "drained" : "draining";
  return client.sessions === 0 ? "gone" : "bound";
}

export const nameOfClient = (client) => client.system_id || "(forwarded)";

function stateColumn(state) {
  return {
    name: "State",
    value: state,
    build(cell) {
      cell.append(html("span", { class: "sign", "aria-hidden": "true" }), html("span", {}));
    },
    paint(cell, row) {
      const words = state(row);
      setAttribute(cell, "data-state", words);
      setText(cell.firstChild, SIGNS[words]);
      setText(cell.lastChild, words);
    },
  };
}

/** In flight of how much room, with a bar. */
const windowColumn = withBar({
  name: "In flight",
  unit: "of window",
  value: (row) => row.outstanding,
  text: (row) => (row.window > 0 ? `${count(row.outstanding)} of ${count(row.window)}` : NONE),
}, (row) => (row.window > 0 ? Math.min(1, row.outstanding / row.window) : 0));

/** A failure rate stands out where there is one. */
const failures = (value) => ({
  ...number("Errors", "/s", value, rate),
  paint(cell, row) {
    setText(cell, rate(value(row)));
    setAttribute(cell, "data-alarm", value(row) > 0 ? "warn" : null);
  },
});

/** The button that drains, or ends the drain. `what` says whom, in words and for the path. */
function drainColumn(what, name, path, question) {
  return {
    name: "Change",
    kind: "change",
    build(cell) {
      const button = html("button", { type: "button", class: "small" });
      button.addEventListener("click", () => {
        const { row } = cell;
        const verb = row.is_draining ? "undrain" : "drain";
        order(`${path(row)}/${verb}`, row.is_draining ? null : question(name(row)));
      });
      cell.append(button);
    },
    paint(cell, row) {
      cell.row = row;
      const [button] = cell.children;
      const verb = row.is_draining ? "Undrain" : "Drain";
      setText(button, verb);
      setAttribute(button, "aria-label", `${verb} ${what} ${name(row)}`);
      button.hidden = access.changes() === "refused" || row.system_id === "";
    },
  };
}

/** Rows of the events, and behind them what was found besides. */
function joined(rows, found, key) {
  const known = new Set(rows.map(key));
  return [...rows, ...found.filter((row) => !known.has(key(row)))];
}

function party({ columns, id, title, key, noun, empty, ask, rowsOf, noteOf }) {
  const view = table({ id, title, columns, key, filter: key, noun, empty });
  let latest = { rows: [], leftOut: 0 };
  let found = [];
  const show = () => view.update(joined(latest.rows, found, key), latest.leftOut);
  const search = lookUp(ask, rowsOf, (rows) => {
    found = rows;
    show();
  });
  view.onFilter = (words) => search(words.trim(), latest.leftOut > 0);
  access.onChange(show);
  return (status, rows, leftOut) => {
    latest = { rows, leftOut };
    if (found.length > 0) search(view.filtered(), leftOut > 0);
    view.setNote(noteOf(status, rows.length + leftOut));
    show();
  };
}

export function servers() {
  const name = (server) => server.name;
  return party({
    id: "servers", title: "Servers", key: name, noun: "server", empty: "No server is configured.",
    ask: () => "/api/v1/servers",
    rowsOf: (answer) => answer.servers,
    noteOf: (status) => `${count(status.servers)} configured, ${count(status.servers_bound)} bound`,
    columns: [
      { name: "Server", value: name, text: name },
      stateColumn(stateOfServer),
      { name: "UID", value: (row) => row.uid, text: (row) => row.uid },
      { name: "Address", value: (row) => row.addresses[0] ?? "", text: (row) => row.addresses.join(" ") },
      number("Sessions", "", (row) => row.sessions),
      windowColumn,
      number("MT", "/s", (row) => row.requests_per_second, rate),
      number("MO", "/s", (row) => row.mobile_originated_per_second, rate),
      failures((row) => row.errors_per_second),
      number("Median", "", (row) => row.response_seconds_p50, time),
      number("99 %", "", (row) => row.response_seconds_p99, time),
      number("Weight", "", (row) => row.weight),
      number("Lost", "", (row) => row.losses),
      drainColumn("server", name, (row) => `/api/v1/servers/${encodeURIComponent(row.name)}`, (server) => ({
        title: `Drain ${server}?`,
        text: `${server} gets no new submits; what is under way there goes on, and its sessions stay bound.`,
        yes: `Drain ${server}`,
      })),
    ],
  });
}

export function clients() {
  return party({
    id: "clients", title: "Clients", key: nameOfClient, noun: "client", empty: "No client has bound yet.",
    ask: (words) => `/api/v1/clients?idle=true&limit=50&prefix=${encodeURIComponent(words)}`,
    rowsOf: (answer) => answer.clients,
    noteOf: (status, seen) => `${count(status.clients)} configured, ${count(seen)} seen since the start`,
    columns: [
      { name: "Client", value: nameOfClient, text: nameOfClient },
      stateColumn(stateOfClient),
      number("Sessions", "", (row) => row.sessions),
      number("Receiving", "", (row) => row.receiving_sessions),
      number("On cores", "", (row) => row.cores),
      windowColumn,
      number("Held", "", (row) => row.held_requests),
      number("MT", "/s", (row) => row.requests_per_second, rate),
      number("MO", "/s", (row) => row.deliveries_per_second, rate),
      failures((row) => row.errors_per_second),
      number("Requests", "in all", (row) => row.requests),
      number("Deliveries", "in all", (row) => row.deliveries),
      drainColumn("client", nameOfClient, (row) => `/api/v1/clients/${encodeURIComponent(row.system_id)}`, (client) => ({
        title: `Drain ${client}?`,
        text: `${client} may not bind any more, its new requests are refused, and its sessions end when all is answered.`,
        yes: `Drain ${client}`,
      })),
    ],
  });
}

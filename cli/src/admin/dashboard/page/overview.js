// The tiles and the charts.

import { chart } from "./chart.js";
import { byId, html, setAttribute, setText } from "./dom.js";
import { count, rate, shortRate, time, timeParts } from "./format.js";

const errors = (point) => point.server_errors_per_second + point.own_answers_per_second;

/** More than one answer in a hundred. */
const isMuch = (point) => errors(point) > point.client_requests_per_second / 100;

/** What a tile shows: its figure, its unit, a line below, and whether it is a reason for alarm. */
const TILES = [
  ["MT, from clients", ({ point }) => [rate(point.client_requests_per_second), "messages/s"]],
  ["MO, from servers", ({ point }) => [rate(point.mobile_originated_per_second), "messages/s"]],
  ["Response time", ({ point }) => [...timeParts(point.response_seconds_p50), `99 %: ${time(point.response_seconds_p99)}`]],
  ["Errors", ({ point }) => [rate(errors(point)), "answers/s",
    `throttled ${rate(point.throttled_per_second)}/s, timeouts ${rate(point.timeouts_per_second)}/s`, isMuch(point) ? "warn" : null]],
  ["Servers bound", ({ status }) => [count(status.servers_bound), `of ${count(status.servers)}`,
    status.servers_bound < status.servers ? `${count(status.servers - status.servers_bound)} down` : "all up",
    status.servers_bound === 0 ? "bad" : status.servers_bound < status.servers ? "warn" : null]],
  ["Client sessions", ({ status }) => [count(status.client_sessions), "", `${count(status.client_connections)} connections`]],
  ["Held", ({ status }) => [count(status.held_requests), "requests", "wait for room at a server", status.held_requests > 0 ? "warn" : null]],
  ["Queue", ({ queue }) => (queue
    ? [count(queue.messages), "messages", queue.is_broken ? "cannot be written" : `oldest ${count(queue.oldest_age_seconds)} s, ${count(queue.dead_letters)} dead letters`, queue.is_broken ? "bad" : null]
    : ["–", "", "off, or it does not answer"])],
];

export function overview() {
  const tiles = TILES.map(([name, figures]) => {
    const [number, unit, below] = [html("span", { class: "number" }), html("span", { class: "unit" }), html("span", { class: "below" })];
    const element = html("div", { class: "tile" }, html("dt", {}, name), html("dd", {}, number, " ", unit, below));
    return { element, number, unit, below, figures };
  });
  byId("tiles").append(...tiles.map(({ element }) => element));

  const messages = chart({
    title: "Messages", unit: "messages per second", tick: shortRate, tell: (value) => `${rate(value)}/s`,
    lines: [
      { name: "MT", class: "mt", value: (point) => point.client_requests_per_second },
      { name: "MO", class: "mo", value: (point) => point.mobile_originated_per_second },
    ],
  });
  const responses = chart({
    title: "Response time", unit: "servers' answers", tick: time, tell: time,
    lines: [
      { name: "99 %", class: "high", value: (point) => point.response_seconds_p99 },
      { name: "median", class: "median", value: (point) => point.response_seconds_p50 },
    ],
  });
  const failures = chart({
    title: "Errors", unit: "answers per second", tick: shortRate, tell: (value) => `${rate(value)}/s`,
    lines: [
      { name: "servers", class: "theirs", value: (point) => point.server_errors_per_second },
      { name: "our own", class: "ours", value: (point) => point.own_answers_per_second },
    ],
  });
  const charts = [messages, responses, failures];
  byId("charts").append(...charts.map(({ element }) => element));

  return {
    live(figures) {
      for (const tile of tiles) {
        const [number, unit, below = "", alarm = null] = tile.figures(figures);
        setText(tile.number, number);
        setText(tile.unit, unit);
        setText(tile.below, below);
        setAttribute(tile.element, "data-alarm", alarm);
      }
    },
    history(points) {
      for (const each of charts) each.update(points);
    },
  };
}

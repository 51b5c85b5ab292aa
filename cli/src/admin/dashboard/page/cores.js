// The table of the packet engines: their load, and the traffic between them.

import { html, setAttribute, setText } from "./dom.js";
import { count, percent, rate } from "./format.js";
import { table } from "./table.js";

const number = (name, unit, value, text = count) => ({ name, unit, isNumber: true, value, text: (row) => text(value(row)) });

export function cores() {
  const view = table({
    id: "cores", title: "Cores", noun: "core", empty: "No engine answers.",
    key: (row) => row.core,
    columns: [
      { name: "Core", value: (row) => String(row.core), text: (row) => String(row.core) },
      {
        name: "Load",
        isNumber: true,
        value: (row) => row.load,
        build(cell) {
          cell.append(html("span", {}), html("span", { class: "bar-frame wide", "aria-hidden": "true" }, html("span", { class: "bar-part" })));
        },
        paint(cell, row) {
          setText(cell.firstChild, percent(row.load));
          cell.lastChild.firstChild.style.width = `${Math.round(row.load * 100)}%`;
          setAttribute(cell.lastChild, "data-full", row.load >= 0.9 ? "yes" : null);
        },
      },
      number("MT", "/s", (row) => row.client_requests_per_second, rate),
      number("MO", "/s", (row) => row.mobile_originated_per_second, rate),
      number("C2C out", "/s", (row) => row.core_messages_sent_per_second, rate),
      number("C2C in", "/s", (row) => row.core_messages_received_per_second, rate),
      number("C2C refused", "in all", (row) => row.core_messages_refused),
      number("Mailbox", "messages", (row) => row.mailbox_messages),
      number("Client sessions", "", (row) => row.client_sessions),
      number("Server sessions", "", (row) => row.server_sessions),
      number("Held", "", (row) => row.held_requests),
    ],
  });
  return ({ cores: rows, status, point }) => {
    const missing = status.cores - status.cores_answering;
    view.setNote(`${count(status.cores)} packet engines${missing > 0 ? `, ${count(missing)} not answering` : ""}; ${rate(point.core_messages_per_second)} messages/s between them (C2C)`);
    view.update(rows);
  };
}

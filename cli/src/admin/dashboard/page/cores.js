// The table of the packet engines: their load, and the traffic between them.

import { count, percent, rate } from "./format.js";
import { number, table, withBar } from "./table.js";

export function cores() {
  const view = table({
    id: "cores", title: "Cores", noun: "core", empty: "No engine answers.",
    key: (row) => row.core,
    columns: [
      { name: "Core", value: (row) => String(row.core), text: (row) => String(row.core) },
      withBar(number("Load", "", (row) => row.load, percent), (row) => row.load, "wide"),
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

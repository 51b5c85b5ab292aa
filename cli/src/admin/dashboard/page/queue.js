// The tables of the pools and of the queue.

import { count, duration, octets } from "./format.js";
import { number, table } from "./table.js";

export function pools() {
  const rangeOf = (row) => row.range || (row.allowed ? `(all of ${row.allowed})` : "(everything else)");
  const view = table({
    id: "pools", title: "Pools", noun: "pool", shown: 10, empty: "No session receives messages of an address range.",
    key: (row) => JSON.stringify([row.vserver, row.range, row.allowed, row.addr_ton, row.addr_npi]),
    columns: [
      { name: "Address range", value: rangeOf, text: rangeOf },
      { name: "vserver", value: (row) => row.vserver, text: (row) => row.vserver },
      { name: "TON/NPI", text: (row) => `${row.addr_ton || "any"}/${row.addr_npi || "any"}` },
      number("Sessions", "receiving", (row) => row.sessions),
      number("Available", "with room", (row) => row.available_sessions),
      { name: "Cores", text: (row) => row.cores.join(" ") },
    ],
  });
  return ({ pools: rows, pools_left_out: leftOut }) => {
    view.setNote(`${count(rows.length + leftOut)} address ranges with sessions that receive`);
    view.update(rows, leftOut);
  };
}

export function queue() {
  const view = table({
    id: "queue", title: "Queue", noun: "destination", shown: 10, empty: "Nothing waits.",
    key: (row) => JSON.stringify([row.vserver, row.destination, row.ton, row.npi]),
    columns: [
      { name: "Destination", value: (row) => row.destination, text: (row) => row.destination },
      { name: "vserver", value: (row) => row.vserver, text: (row) => row.vserver },
      { name: "Kind", text: (row) => (row.ton === null ? "account's receipts" : `TON ${row.ton} NPI ${row.npi}`) },
      number("Waiting", "messages", (row) => row.messages),
      number("Size", "", (row) => row.octets, octets),
      number("Oldest", "", (row) => row.oldest_age_seconds, duration),
    ],
  });
  return ({ queue: figures }) => {
    if (!figures) {
      view.setNote("off, or its store does not answer");
      view.update([]);
      return;
    }
    const broken = figures.is_broken ? "; NOTHING CAN BE QUEUED: its file has failed" : "";
    view.setNote(`${count(figures.messages)} messages wait (${octets(figures.octets)}), ${count(figures.dead_letters)} dead letters${broken}`);
    view.update(figures.lines, Math.max(0, figures.destinations - figures.lines.length));
  };
}

// The page: what each event goes to.

import * as access from "./access.js";
import { cores } from "./cores.js";
import { byId, setAttribute, setText } from "./dom.js";
import { watch } from "./feed.js";
import { count, duration } from "./format.js";
import { overview } from "./overview.js";
import { clients, servers } from "./parties.js";
import { pools, queue } from "./queue.js";
import { topology } from "./topology.js";

const HISTORY_MAX = 300;

const views = {
  overview: overview(),
  topology: topology(),
  servers: servers(),
  clients: clients(),
  cores: cores(),
  pools: pools(),
  queue: queue(),
};
let points = [];
let latest = null;

function showState(words, alarm) {
  setText(byId("state"), words);
  setAttribute(byId("state"), "data-alarm", alarm);
}

function stateOf(status) {
  if (status.phase === "draining") return ["Draining", "warn"];
  if (status.cores_answering < status.cores) return [`${count(status.cores - status.cores_answering)} of ${count(status.cores)} engines do not answer`, "bad"];
  return status.not_ready ? [`Not ready: ${status.not_ready}`, "bad"] : ["Serving, ready", null];
}

function show(figures) {
  latest = figures;
  const { status, point } = figures;
  if (point.seconds > 0) points = [...points.slice(1 - HISTORY_MAX), point];
  showState(...stateOf(status));
  setText(byId("version"), status.version);
  setText(byId("facts"), `up ${duration(status.uptime_seconds)} · ${status.vservers.map((vserver) => `${vserver.name} ${vserver.listen.join(" ")}`).join(" · ")}`);
  views.overview.live(figures);
  if (points.length > 0) views.overview.history(points);
  views.topology(figures);
  views.servers(status, figures.servers, figures.servers_left_out);
  views.clients(status, figures.clients, figures.clients_left_out);
  views.cores(figures);
  views.pools(figures);
  views.queue(figures);
}

watch({
  history(history) {
    points = history;
  },
  live: show,
  trouble(words) {
    document.body.classList.toggle("stale", words !== null);
    if (words) showState(words, "bad");
    else access.ask();
    if (!words && latest) showState(...stateOf(latest.status));
  },
});

// The events of /api/v1/events: kept up, told to whoever listens, and silent while nobody looks at the page.

const STALE_AFTER_MS = 4000;
const RETRY_MS = 2000;

/**
 * Watches. `on.history(points)`, `on.live(figures)`, and `on.trouble(words)`, with null when all is well again.
 * The history comes with each new connection, so a gap closes by itself.
 */
export function watch(on) {
  let source = null;
  let lastAt = 0;
  let retry = null;
  let trouble = undefined;

  function tell(words) {
    if (words !== trouble) {
      trouble = words;
      on.trouble(words);
    }
  }

  function open() {
    close();
    source = new EventSource("/api/v1/events");
    source.addEventListener("history", (event) => on.history(JSON.parse(event.data).points));
    source.addEventListener("live", (event) => {
      lastAt = Date.now();
      tell(null);
      on.live(JSON.parse(event.data));
    });
    source.addEventListener("problem", (event) => tell(JSON.parse(event.data).error));
    source.addEventListener("error", () => {
      // A refusal (too many watch) ends an EventSource for good, an interruption does not: both begin anew here.
      close();
      tell("No connection to smppmux: it has ended, cannot be reached, or too many watch. Trying again…");
      retry = setTimeout(open, RETRY_MS);
    });
  }

  function close() {
    clearTimeout(retry);
    source?.close();
    source = null;
  }

  setInterval(() => {
    if (source && lastAt && Date.now() - lastAt > STALE_AFTER_MS) tell("No new figures for some seconds.");
  }, 1000);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
    } else {
      lastAt = Date.now();
      open();
    }
  });

  open();
}

// The events of /api/v1/events: kept up, told to whoever listens, and silent while nobody looks at the page.

const STALE_AFTER_MS = 4000;
/** There is an event every second: who says nothing for so long is gone, though the connection stands. */
const SILENT_AFTER_MS = 15_000;
const RETRY_MS = 2000;

/**
 * Watches. `on.history(points)`, `on.live(figures)`, and `on.trouble(words)`, with null when all is well again.
 * The history comes with each new connection, so a gap closes by itself.
 */
export function watch(on) {
  let source = null;
  let heardAt = 0;
  let retry = null;
  let trouble = undefined;

  function tell(words) {
    if (words !== trouble) {
      trouble = words;
      on.trouble(words);
    }
  }

  function hear(name, take) {
    source.addEventListener(name, (event) => {
      heardAt = Date.now();
      take(JSON.parse(event.data));
    });
  }

  function open() {
    close();
    heardAt = Date.now();
    source = new EventSource("/api/v1/events");
    hear("history", (history) => on.history(history.points));
    hear("live", (figures) => {
      tell(null);
      on.live(figures);
    });
    hear("problem", (problem) => tell(problem.error));
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
    if (!source) return;
    const silence = Date.now() - heardAt;
    // What is wrong already is told in better words.
    if (trouble === null && silence > STALE_AFTER_MS) tell("No new figures for some seconds.");
    if (silence > SILENT_AFTER_MS) open();
  }, 1000);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else open();
  });

  if (!document.hidden) open();
}

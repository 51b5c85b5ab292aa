// Parties that the events leave out, found by name: asked of the API only while the filter has words and rows are missing.

const FOUND_MAX = 50;
const REST_MS = 400;

/** Asks for what fits the words of a filter; `found(rows)` gets rows without rates. */
export function lookUp(path, rowsOf, found) {
  let timer = null;
  let latest = 0;
  return (words, isIncomplete) => {
    clearTimeout(timer);
    latest += 1;
    const number = latest;
    if (!words || !isIncomplete) {
      found([]);
      return;
    }
    timer = setTimeout(async () => {
      try {
        const answer = await fetch(path(words));
        const rows = answer.ok ? rowsOf(await answer.json()) : [];
        if (number === latest) found(rows.slice(0, FOUND_MAX));
      } catch {
        // The page says by itself that nobody answers.
      }
    }, REST_MS);
  };
}

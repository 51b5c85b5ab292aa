// Tables that are updated every second without losing the reader's place: rows keep their elements by key, and while the pointer
// or the focus is in a table its rows do not change places.

import { byId, html, setAttribute, setText } from "./dom.js";
import { count, counted } from "./format.js";

const SHOWN_AT_FIRST = 25;
const SHOWN_MORE = 150;

/** A column of numbers. */
export const number = (name, unit, value, text = count) => ({ name, unit, isNumber: true, value, text: (row) => text(value(row)) });

/** A column with a bar behind its text, which shows `part(row)`, from 0 to 1. */
export const withBar = (column, part, kind = "") => ({
  isNumber: true,
  ...column,
  build(cell) {
    cell.append(html("span", {}), html("span", { class: `bar-frame ${kind}`, "aria-hidden": "true" }, html("span", { class: "bar-part" })));
  },
  paint(cell, row) {
    setText(cell.firstChild, column.text(row));
    cell.lastChild.firstChild.style.width = `${Math.round(part(row) * 100)}%`;
    setAttribute(cell.lastChild, "data-full", part(row) >= 0.9 ? "yes" : null);
  },
});

/**
 * A table in the section with this id.
 *
 * Columns: {name, unit, kind, text(row), value(row) to sort by, isNumber, build(cell), paint(cell, row)}; without `value` it is not
 * sorted by. `key(row)` is unique; `filter(row)` is the text that the filter looks at, if there is one. `noun` names the rows.
 */
export function table({ id, title, columns, key, filter, noun, empty, shown = SHOWN_AT_FIRST }) {
  const section = byId(id);
  const note = html("span", { class: "note" });
  const heading = html("h2", { id: `${id}-title` }, title, " ", note);
  const body = html("tbody", {});
  const state = { rows: [], leftOut: 0, sorted: null, isDescending: false, shown, order: [] };
  const elements = new Map();
  const head = columns.map((column, place) => headCell(column, () => sortBy(place)));
  const frame = html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": `${title}, table` },
    html("table", {}, html("caption", { class: "hidden" }, title), html("thead", {}, html("tr", {}, ...head)), body));
  const input = filter && html("input", { type: "search", id: `${id}-filter`, placeholder: "Filter", autocomplete: "off", spellcheck: "false", "aria-label": `Filter ${title.toLowerCase()} by name` });
  const more = html("button", { type: "button", hidden: true });
  const rest = html("p", { class: "rest quiet" });
  const nothing = html("p", { class: "quiet empty", hidden: true }, empty);
  section.append(html("div", { class: "head" }, heading, ...(input ? [input] : [])), frame, nothing, html("div", { class: "foot" }, more, rest));
  let isHeld = false;
  frame.addEventListener("pointerenter", () => (isHeld = true));
  frame.addEventListener("pointerleave", () => (isHeld = false));
  input?.addEventListener("input", () => {
    state.shown = shown;
    paint(true);
    onFilter?.(input.value);
  });
  more.addEventListener("click", () => {
    state.shown += SHOWN_MORE;
    paint(true);
  });
  let onFilter = null;

  function sortBy(place) {
    if (state.sorted === place && state.isDescending === Boolean(columns[place].isNumber)) {
      state.isDescending = !state.isDescending;
    } else if (state.sorted === place) {
      state.sorted = null;
    } else {
      state.sorted = place;
      state.isDescending = Boolean(columns[place].isNumber);
    }
    head.forEach((cell, other) => setAttribute(cell, "aria-sort", other === state.sorted ? (state.isDescending ? "descending" : "ascending") : null));
    paint(true);
  }

  function wanted() {
    const words = input?.value.trim().toLowerCase() ?? "";
    const rows = words ? state.rows.filter((row) => filter(row).toLowerCase().includes(words)) : state.rows.slice();
    if (state.sorted !== null) {
      const { value } = columns[state.sorted];
      const sign = state.isDescending ? -1 : 1;
      rows.sort((one, other) => sign * compare(value(one), value(other)));
    }
    return rows;
  }

  function paint(isAsked) {
    const rows = wanted();
    const byKey = new Map(rows.map((row) => [key(row), row]));
    const mayMove = isAsked || !(isHeld || frame.contains(document.activeElement));
    if (mayMove || state.order.some((each) => !byKey.has(each))) {
      state.order = rows.slice(0, state.shown).map(key);
    } else if (state.order.length < Math.min(state.shown, rows.length)) {
      const known = new Set(state.order);
      state.order.push(...rows.map(key).filter((each) => !known.has(each)).slice(0, state.shown - state.order.length));
    }
    for (const [each, row] of elements) {
      if (!state.order.includes(each)) {
        row.element.remove();
        elements.delete(each);
      }
    }
    const focused = document.activeElement;
    state.order.forEach((each, place) => {
      if (!elements.has(each)) elements.set(each, bodyRow(columns));
      const { element, cells } = elements.get(each);
      if (body.children[place] !== element) body.insertBefore(element, body.children[place] ?? null);
      columns.forEach((column, at) => paintCell(column, cells[at], byKey.get(each)));
    });
    // An element that is moved loses the focus.
    if (focused !== document.activeElement && frame.contains(focused)) focused.focus();
    const hidden = rows.length - state.order.length;
    more.hidden = hidden === 0;
    setText(more, `Show ${Math.min(hidden, SHOWN_MORE)} more`);
    const left = [hidden > 0 && `${counted(hidden, `${noun} is`, `${noun}s are`)} not shown`, state.leftOut > 0 && `${counted(state.leftOut, noun)} left out of what is sent${input ? ": the filter finds them" : ""}`];
    setText(rest, left.filter(Boolean).join("; "));
    frame.hidden = rows.length === 0;
    nothing.hidden = rows.length > 0;
    setText(nothing, state.rows.length > 0 ? "No name fits the filter." : empty);
  }

  return {
    update(rows, leftOut = 0) {
      state.rows = rows;
      state.leftOut = leftOut;
      paint(false);
    },
    setNote: (text) => setText(note, text),
    filtered: () => input?.value.trim() ?? "",
    set onFilter(listener) {
      onFilter = listener;
    },
  };
}

function compare(one, other) {
  if (typeof one === "string") return one.localeCompare(other, "en", { numeric: true });
  return (one ?? -1) - (other ?? -1);
}

function headCell(column, sort) {
  const unit = column.unit ? html("span", { class: "unit" }, ` ${column.unit}`) : null;
  const cell = html("th", { scope: "col", class: column.isNumber ? "number" : column.kind });
  if (column.value) {
    const button = html("button", { type: "button" }, column.name, unit);
    button.addEventListener("click", sort);
    cell.append(button);
  } else {
    cell.append(column.name, ...(unit ? [unit] : []));
  }
  return cell;
}

function bodyRow(columns) {
  const cells = columns.map((column, place) => {
    const cell = place === 0 ? html("th", { scope: "row" }) : html("td", { class: column.isNumber ? "number" : column.kind });
    column.build?.(cell);
    return cell;
  });
  return { element: html("tr", {}, ...cells), cells };
}

function paintCell(column, cell, row) {
  if (column.paint) column.paint(cell, row);
  else setText(cell, column.text(row));
}

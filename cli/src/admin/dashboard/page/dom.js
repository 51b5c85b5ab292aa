// Making elements. Texts become text nodes, never markup: names and system_ids come from the network.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element with attributes, and children that are elements or texts. */
export function html(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Sets a text only where it has changed, so that a screen reader and the layout are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or, for null, removes an attribute where it has changed. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

const shown = new Map();

/**
 * Shows a dialog with the focus on one of its elements, and comes to what it was closed with. The event of its end comes later than the end: who opens it again at once waits for that,
 * or the end of the first showing would be taken for that of the second.
 */
export async function showDialog(dialog, prepare, focused = null) {
  while (shown.has(dialog)) await shown.get(dialog);
  prepare();
  const end = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  shown.set(dialog, end);
  dialog.showModal();
  focused?.focus();
  await end;
  shown.delete(dialog);
  return dialog.returnValue;
}

export const byId = (id) => document.getElementById(id);

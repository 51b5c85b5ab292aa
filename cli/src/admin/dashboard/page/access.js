// Whether this page may change something: what the door asks for, and the token, which stays in this tab.

import { byId, html, setText, showDialog } from "./dom.js";

const KEPT = "smppmux-token";

let door = "refused";
const listeners = [];

/** "allowed", "token" or "refused". */
export const changes = () => door;

/** Whether an order can be given now, without asking for the token first. */
export const isOpen = () => door === "allowed" || (door === "token" && sessionStorage.getItem(KEPT) !== null);

export const onChange = (listener) => listeners.push(listener);

/** The head of a request that changes something. */
export function credentials(token = sessionStorage.getItem(KEPT)) {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/** Forgets the token. */
export function forget() {
  sessionStorage.removeItem(KEPT);
  show();
}

/** Finds out what the door asks for. */
export async function ask() {
  try {
    const answer = await fetch("/api/v1/access");
    door = answer.ok ? (await answer.json()).changes : door;
  } catch {
    // The page says by itself that nobody answers.
  }
  show();
}

function show() {
  const button = byId("access-button");
  const words = byId("access-state");
  button.hidden = door !== "token";
  setText(button, isOpen() ? "Forget token" : "Enter token…");
  if (door === "refused") {
    words.replaceChildren("Read only: without ", html("code", {}, "token-file"), " under ", html("code", {}, "[admin]"), " changes go by ", html("code", {}, "smppmux ctl"));
  } else {
    setText(words, isOpen() ? "Changes allowed" : "Read only");
  }
  for (const listener of listeners) listener();
}

/** Has the token entered. Comes to true when it was right. */
export async function enter() {
  const dialog = byId("token-dialog");
  const form = byId("token-form");
  const input = byId("token");
  const problem = byId("token-problem");
  const submit = async (event) => {
    event.preventDefault();
    const token = input.value.trim();
    const words = await tried(token);
    if (words === null) {
      sessionStorage.setItem(KEPT, token);
      dialog.close();
    } else {
      setText(problem, words);
      input.setAttribute("aria-invalid", "true");
      input.select();
    }
  };
  const cancel = () => dialog.close();
  const prepare = () => {
    setText(problem, "");
    input.value = "";
    input.removeAttribute("aria-invalid");
    form.addEventListener("submit", submit);
    byId("token-cancel").addEventListener("click", cancel);
  };
  await showDialog(dialog, prepare, input);
  form.removeEventListener("submit", submit);
  byId("token-cancel").removeEventListener("click", cancel);
  input.value = "";
  show();
  return isOpen();
}

/** What is wrong with a token; null when it is right. */
async function tried(token) {
  // Other characters cannot stand in a header, nor in a token.
  if (!/^[\x21-\x7e]+$/.test(token)) return "A token has printable ASCII characters only.";
  try {
    const answer = await fetch("/api/v1/access", { method: "POST", headers: credentials(token) });
    if (answer.ok) return null;
    return answer.status === 401 ? "This is not the token." : (await answer.json()).error;
  } catch {
    return "smppmux does not answer.";
  }
}

byId("access-button").addEventListener("click", () => (isOpen() ? forget() : enter()));

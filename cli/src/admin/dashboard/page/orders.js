// Orders to smppmux: a question first where something stops, then the call, then what came of it in words.

import * as access from "./access.js";
import { byId, setText, showDialog } from "./dom.js";

let fading = null;

function say(words, isProblem) {
  const message = byId("message");
  setText(message, words);
  message.classList.toggle("bad", isProblem);
  clearTimeout(fading);
  if (!isProblem) fading = setTimeout(() => setText(message, ""), 15_000);
}

async function confirmed({ title, text, yes }) {
  const dialog = byId("confirm-dialog");
  const prepare = () => {
    setText(byId("confirm-title"), title);
    setText(byId("confirm-text"), text);
    setText(byId("confirm-yes"), yes);
    dialog.returnValue = "no";
  };
  return await showDialog(dialog, prepare) === "yes";
}

/** Gives an order; `question`, if there is one, is asked first. */
export async function order(path, question) {
  if (!access.isOpen() && !(await access.enter())) return;
  if (question && !(await confirmed(question))) return;
  try {
    const answer = await fetch(path, { method: "POST", headers: access.credentials() });
    const body = await answer.json();
    if (answer.status === 401) access.forget();
    say(answer.ok ? body.done : `Not done: ${body.error}`, !answer.ok);
  } catch {
    say("Not done: smppmux does not answer.", true);
  }
}

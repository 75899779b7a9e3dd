// Coming in: the token stands behind the # of the link, is taken out of the address at once, and sent once.
import { Refusal, post } from "./api.js";
import { byId } from "./dom.js";
import { openPage } from "./header.js";
import { say } from "./words.js";

const named = location.search === "?named"; // the link already knows whose it is
const token = location.hash.slice(1);
const present = byId("main").dataset.signedInAs;
history.replaceState(null, "", location.pathname);

async function join() {
  const name = byId("name").value.trim();
  byId("join-error").removeAttribute("data-t");
  byId("join-error").textContent = "";
  try {
    await post("/api/join", { token, ...(name ? { name } : {}) });
    location.replace("/");
  } catch (problem) {
    ask();
    if (problem instanceof Refusal && problem.status === 410) say(byId("join-error"), "linkGone");
    else if (problem instanceof Refusal && problem.status === 409) say(byId("join-error"), "nameTaken");
    else if (problem instanceof Refusal) byId("join-error").textContent = problem.message;
    else say(byId("join-error"), "noServer");
  }
}

function ask() {
  byId("other").hidden = true;
  byId("join").hidden = false;
  byId("name").focus();
}

function begin() {
  if (named) join();
  else ask();
}

openPage("joinTitle");
byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  join();
});
byId("change").addEventListener("click", begin);
if (!token) say(byId("join-text"), "noToken");
else if (present) {
  say(byId("join-text"), "otherPerson", { name: present });
  byId("other").hidden = false;
} else begin();

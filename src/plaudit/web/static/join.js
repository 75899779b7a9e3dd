// Coming in: the token stands behind the # of the link, is taken out of the address at once, and sent once.
import { Refusal, post } from "./api.js";
import { byId } from "./dom.js";
import { openPage } from "./header.js";
import { say } from "./words.js";

const link = new URLSearchParams(location.search);
const named = link.has("named"); // the link already knows whose it is
const token = location.hash.slice(1);
const { signedInAs: present, signedInId: id } = byId("main").dataset;
const same = id !== "" && link.get("named") === id;
history.replaceState(null, "", location.pathname);

async function join() {
  const name = byId("name").value.trim();
  byId("join-error").removeAttribute("data-t");
  byId("join-error").textContent = "";
  try {
    await post("/api/join", { token, ...(name ? { name } : {}) });
    location.replace("/");
  } catch (problem) {
    const status = problem instanceof Refusal ? problem.status : 0;
    const useless = status === 410 || (status === 409 && named);
    if (useless) byId("join").hidden = byId("other").hidden = true;
    else ask();
    if (status === 410) say(byId("join-error"), "linkGone");
    else if (status === 409) say(byId("join-error"), named ? "linkTaken" : "nameTaken");
    else if (problem instanceof Refusal) byId("join-error").textContent = problem.message;
    else say(byId("join-error"), "noServer");
  }
}

function ask() {
  byId("other").hidden = true;
  byId("join").hidden = false;
  byId("who").hidden = named; // then it is only a button to try again
  byId("join").querySelector(named ? "button" : "input").focus();
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
else if (present && !same) {
  say(byId("join-text"), "otherPerson", { name: present });
  byId("other").hidden = false;
} else begin();

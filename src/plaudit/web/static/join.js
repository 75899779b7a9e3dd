// Bare: a link's token is behind the #; it is sent once.
const main = document.getElementById("main");
const token = location.hash.slice(1);
history.replaceState(null, "", "/join");

async function join(name) {
  const body = name ? { token, name } : { token };
  const response = await fetch("/api/join", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  if (response.ok) location.replace("/");
  else main.textContent = (await response.json()).message;
}
join();

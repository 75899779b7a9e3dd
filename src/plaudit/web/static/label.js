// Bare: one comparison of texts at a time.
const main = document.getElementById("main");

async function call(path, body, csrf) {
  const headers = { "Content-Type": "application/json", "X-Plaudit-CSRF": csrf };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const data = await response.json();
  if (!response.ok) throw new Error(data.message);
  return data;
}

function show(task, csrf) {
  main.replaceChildren();
  const prompt = document.createElement("pre");
  prompt.textContent = typeof task.prompt === "string" ? task.prompt : JSON.stringify(task.prompt);
  main.append(prompt);
  const shas = task.options.map((option) => option.sha256);
  task.options.forEach((option, place) => {
    const button = document.createElement("button");
    button.textContent = option.view.text ?? JSON.stringify(option.view);
    button.addEventListener("click", () => answer(task, csrf, shas, place === 0 ? "first" : "second"));
    main.append(button);
  });
}

async function answer(task, csrf, options, said) {
  await call("/api/answers", {
    client_uuid: crypto.randomUUID(), query_id: task.query_id, shown_order: task.shown_order,
    feedback: { kind: "comparison", options, answer: said }, active_ms: null, supersedes: null,
  }, csrf);
  await next(csrf);
}

async function next(csrf) {
  const { tasks } = await call("/api/tasks", { count: 1, besides: [] }, csrf);
  if (tasks.length) show(tasks[0], csrf);
  else main.textContent = "Nothing to answer now.";
}

const me = await (await fetch("/api/me")).json();
await next(me.csrf);

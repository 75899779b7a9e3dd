// Runs before the page is drawn (a plain script, not a module), so that neither colours nor language flash.
(function () {
  const page = document.documentElement;
  const kept = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // a browser that keeps nothing: the system decides
    }
  };
  const theme = kept("plaudit-theme");
  if (theme === "light" || theme === "dark") page.dataset.theme = theme;
  const language = kept("plaudit-language") || navigator.language || "en";
  page.lang = language.toLowerCase().startsWith("zh") ? "zh-Hans" : "en";
})();

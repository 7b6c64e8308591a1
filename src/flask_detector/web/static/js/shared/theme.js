/** Switches between light and dark. The server reads the cookie, so that no page begins in the other theme. */

const YEAR_SECONDS = 365 * 24 * 3600;

const root = document.documentElement;
const button = /** @type {HTMLButtonElement} */ (document.querySelector("[name=theme]"));
const system = matchMedia("(prefers-color-scheme: dark)");

const systemTheme = () => (system.matches ? "dark" : "light");
const theme = () => root.dataset.theme ?? systemTheme();

function show() {
  button.ariaPressed = String(theme() === "dark");
  const { backgroundColor } = getComputedStyle(document.body);
  document.querySelectorAll("meta[name=theme-color]").forEach((meta) => meta.setAttribute("content", backgroundColor));
}

button.addEventListener("click", () => {
  const chosen = theme() === "dark" ? "light" : "dark";
  const follows = chosen === systemTheme(); // who chooses what the system has follows it again
  if (follows) {
    delete root.dataset.theme;
  } else {
    root.dataset.theme = chosen;
  }
  const age = follows ? 0 : YEAR_SECONDS;
  document.cookie = `theme=${chosen}; path=${button.dataset.path}; max-age=${age}; samesite=lax`;
  show();
});
system.addEventListener("change", show);
show();
button.hidden = false;

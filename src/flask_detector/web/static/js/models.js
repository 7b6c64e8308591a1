/** Keeps the words about the models up to date while something is going on with them. */

const LOOK_AGAIN_MILLISECONDS = 3000;

async function look() {
  const words = document.getElementById("models");
  if (!words || !("changing" in words.dataset)) {
    return;
  }
  if (!document.hidden) {
    try {
      const page = await (await fetch(location.pathname)).text();
      const news = new DOMParser().parseFromString(page, "text/html").getElementById("models");
      if (news && news.innerHTML !== words.innerHTML) {
        words.replaceWith(news);
      }
    } catch {
      // The server is away for now: what the page says stays until it is back.
    }
  }
  setTimeout(look, LOOK_AGAIN_MILLISECONDS);
}

setTimeout(look, LOOK_AGAIN_MILLISECONDS);

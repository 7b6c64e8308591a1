/** Follows a detection by server-sent events, by polling where these are not available. */

/** @typedef {{status: string, step: string | null, final: boolean, working: boolean, place: string, forecast: string}} State what pages use of it */

const ASK_AGAIN_MILLISECONDS = 1500;

// The server sends an event every two seconds: a connection that is silent for so long is dead.
const SILENCE_MILLISECONDS = 10_000;

/**
 * Call `onState` with each state of a detection until it is final; return a function that ends this earlier.
 *
 * The browser reconnects a dropped stream by itself; it gives up only when the server refuses one. It does not
 * notice a connection that is silently dead, such as after a change of networks: then a new one is opened.
 *
 * @param {string} eventsUrl
 * @param {string} stateUrl
 * @param {(state: State) => void} onState
 * @returns {() => void}
 */
export function follow(eventsUrl, stateUrl, onState) {
  /** @type {EventSource} */
  let source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let stopped = false;

  function listen() {
    source = new EventSource(eventsUrl);
    source.addEventListener("state", (event) => {
      restartTimer();
      pass(JSON.parse(event.data));
    });
    source.addEventListener("still", restartTimer);
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && !stopped) {
        clearTimeout(timer);
        ask();
      }
    });
    restartTimer();
  }

  function reconnect() {
    source.close();
    clearTimeout(timer);
    listen();
  }

  function restartTimer() {
    clearTimeout(timer);
    if (!stopped) {
      timer = setTimeout(reconnect, SILENCE_MILLISECONDS);
    }
  }

  function stop() {
    stopped = true;
    source.close();
    clearTimeout(timer);
    removeEventListener("online", reconnect);
  }

  /** @param {State} state */
  function pass(state) {
    if (state.final) {
      stop();
    }
    onState(state);
  }

  async function ask() {
    try {
      const answer = await fetch(stateUrl);
      if (stopped) {
        return;
      }
      if (answer.ok) {
        pass(await answer.json());
      } else if (answer.status < 500) {
        pass({ status: "gone", step: null, final: true, working: true, place: "", forecast: "" });
      }
    } catch {
      // The server can't be reached for now: poll again.
    }
    if (!stopped) {
      timer = setTimeout(ask, ASK_AGAIN_MILLISECONDS);
    }
  }

  addEventListener("online", reconnect);
  listen();
  return stop;
}

/** Follows a detection: live by server-sent events, by asking now and then where these can't be had. */

/** @typedef {{status: string, position: number | null, stage: string | null, step: string | null, final: boolean, working: boolean}} State */

const ASK_AGAIN_MILLISECONDS = 1500;

// The server says something every two seconds: a line that is silent for so long is dead, though nobody said so.
const SILENCE_MILLISECONDS = 10_000;

/**
 * Call `onState` with each state of a detection until it is final; return a function that ends this earlier.
 *
 * The browser reconnects a dropped stream by itself; it gives up only when the server refuses one. It does not
 * notice a line that is silently dead, such as after a change of networks: then a new one is opened.
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
      beSuspicious();
      pass(JSON.parse(event.data));
    });
    source.addEventListener("still", beSuspicious);
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && !stopped) {
        clearTimeout(timer);
        ask();
      }
    });
    beSuspicious();
  }

  function listenAnew() {
    source.close();
    clearTimeout(timer);
    listen();
  }

  function beSuspicious() {
    clearTimeout(timer);
    if (!stopped) {
      timer = setTimeout(listenAnew, SILENCE_MILLISECONDS);
    }
  }

  function stop() {
    stopped = true;
    source.close();
    clearTimeout(timer);
    removeEventListener("online", listenAnew);
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
        pass({ status: "gone", position: null, stage: null, step: null, final: true, working: true });
      }
    } catch {
      // The server is away for now: asking again is all there is to do.
    }
    if (!stopped) {
      timer = setTimeout(ask, ASK_AGAIN_MILLISECONDS);
    }
  }

  addEventListener("online", listenAnew);
  listen();
  return stop;
}

/** Follows a detection: live by server-sent events, by asking now and then where these can't be had. */

/** @typedef {{status: string, position: number | null, stage: string | null, final: boolean}} State */

const ASK_AGAIN_MILLISECONDS = 1500;

/**
 * Call `onState` with each state of a detection until it is final; return a function that ends this earlier.
 *
 * The browser reconnects a dropped stream by itself; it gives up only when the server refuses one.
 *
 * @param {string} eventsUrl
 * @param {string} stateUrl
 * @param {(state: State) => void} onState
 * @returns {() => void}
 */
export function follow(eventsUrl, stateUrl, onState) {
  const source = new EventSource(eventsUrl);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let stopped = false;

  function stop() {
    stopped = true;
    source.close();
    clearTimeout(timer);
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
        pass({ status: "gone", position: null, stage: null, final: true });
      }
    } catch {
      // The server is away for now: asking again is all there is to do.
    }
    if (!stopped) {
      timer = setTimeout(ask, ASK_AGAIN_MILLISECONDS);
    }
  }

  source.addEventListener("state", (event) => pass(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED && !stopped) {
      ask();
    }
  });
  return stop;
}

import { isFree } from "../../example/start/ports.ts";

/** Below every system's ephemeral range: a port stays ours while the gate on it is killed and started again. */
const FIRST = 9_200;
const COUNT = 100;

let next = 0;

/** A port that nothing listens on, and that this process has not handed out before. */
export async function livePort(): Promise<number> {
  while (next < COUNT) {
    const port = FIRST + next++;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${FIRST} to ${FIRST + COUNT - 1} is free`);
}

import { announcement } from "./announce.ts";
import { startGate } from "./running-gate.ts";
import type { RunningGate } from "./running-gate.ts";
import { readSettings } from "./settings.ts";
import type { Settings } from "./settings.ts";
import { linkLines, signInLinks } from "./sign-in-links.ts";

/**
 * `npm start`: upstream and gate from nothing, until SIGTERM or SIGINT. The last line printed is `ready <address>`.
 * Exit status 1, with the reason and the tail of the gate's log, when something cannot start or ends by itself.
 */
const PARENT_POLL_MS = 200;
const stopping = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stopping.abort());
stopWithNpm();

const settings = readSettings(process.env);
if (settings.ok) await run(settings.value);
else complain(settings.error);

async function run(chosen: Settings): Promise<void> {
  try {
    const running = await startGate({ ...chosen, signal: stopping.signal, progress: (line) => say(`· ${line}`) });
    say(`\n${announcement(running.demo, chosen.upstream)}`);
    say(linkLines(running.gate, await signInLinks(running.demo)));
    say(`ready ${running.gate}`);
    await untilTheEnd(running);
  } catch (error) {
    if (!stopping.signal.aborted) complain(error instanceof Error ? error.message : String(error));
  }
}

async function untilTheEnd(running: RunningGate): Promise<void> {
  const told = new Promise<null>((resolve) => {
    if (stopping.signal.aborted) resolve(null);
    stopping.signal.addEventListener("abort", () => resolve(null), { once: true });
  });
  const tail = await Promise.race([told, running.died]);
  if (tail !== null) {
    complain(`the gate ended by itself:\n${tail}`);
    await running.kill("SIGKILL");
  }
  await running.stop();
}

/** npm passes SIGTERM to the shell between it and this process, and the shell passes nothing on: watch for its end. */
function stopWithNpm(): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid !== parent) stopping.abort();
  }, PARENT_POLL_MS);
  watch.unref();
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function complain(line: string): void {
  process.stderr.write(`${line}\n`);
  process.exitCode = 1;
}

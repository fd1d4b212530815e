import { createServer, connect } from "node:net";
import type { Socket } from "node:net";

/**
 * What the wire between gate and upstream does. `pass`: nothing. `hold-answers`: requests arrive and are executed, no
 * answer comes back. `swallow`: requests leave the gate and arrive nowhere.
 */
export type WireMode = "pass" | "hold-answers" | "swallow";

export type Wire = {
  readonly url: string;
  readonly become: (mode: WireMode) => void;
  /** How many pieces of requests it has carried or swallowed so far: grows once a request has left the gate. */
  readonly carried: () => number;
  readonly close: () => Promise<void>;
};

/** A TCP relay on `port` in front of `upstreamPort`, both on loopback: it knows no HTTP, and can lose either direction. */
export async function stretchWire(port: number, upstreamPort: number): Promise<Wire> {
  let mode: WireMode = "pass";
  let carried = 0;
  const open = new Set<Socket>();
  const server = createServer((gate) => {
    const upstream = connect(upstreamPort, "127.0.0.1");
    for (const [socket, other] of [
      [gate, upstream],
      [upstream, gate],
    ] as const) {
      open.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        open.delete(socket);
        other.destroy();
      });
    }
    gate.on("data", (bytes) => {
      carried += 1;
      if (mode !== "swallow") upstream.write(bytes);
    });
    upstream.on("data", (bytes) => {
      if (mode !== "hold-answers") gate.write(bytes);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${port}`,
    become: (next) => {
      mode = next;
    },
    carried: () => carried,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

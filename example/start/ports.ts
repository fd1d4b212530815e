import { createServer } from "node:net";

/** Everything listens on loopback only. */
export const HOST = "127.0.0.1";

/** Whether nothing listens on the port. */
export const isFree = async (port: number): Promise<boolean> => (await tryPort(port)) !== null;

/** A port that nothing listens on now. */
export async function freePort(): Promise<number> {
  const port = await tryPort(0);
  if (port === null) throw new Error("no port is free");
  return port;
}

/** Listens and closes again; the port, or null when it is taken. */
function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null));
    server.listen(port, HOST, () => {
      const address = server.address();
      server.close(() => resolve(address === null || typeof address === "string" ? null : address.port));
    });
  });
}

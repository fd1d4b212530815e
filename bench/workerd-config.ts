/** A Worker in a workerd configuration; what it needs of the syntax and no more. */
export type WorkerService = {
  readonly name: string;
  /** Module name and file, relative to the configuration; the first is the entry. */
  readonly modules: readonly { readonly name: string; readonly file: string }[];
  readonly bindings: readonly string[];
  readonly durableObjects: readonly string[];
  readonly port: number;
};

/** As in wrangler.toml. */
const COMPATIBILITY_DATE = "2026-10-01";

/** Cap'n Proto text is read like JSON text here: both escape with backslashes. */
const quoted = (text: string): string => JSON.stringify(text);

export const textBinding = (name: string, text: string): string => `(name = ${quoted(name)}, text = ${quoted(text)})`;

export const objectBinding = (name: string, className: string): string =>
  `(name = ${quoted(name)}, durableObjectNamespace = ${quoted(className)})`;

/** A D1 database that answers over HTTP elsewhere; the wrapper around it is the runtime's own. */
export const d1Binding = (name: string, service: string): string =>
  `(name = ${quoted(name)}, wrapped = (moduleName = "cloudflare-internal:d1-api", innerBindings = [(name = "fetcher", service = ${quoted(service)})]))`;

/** Configuration of one workerd process: one Worker on loopback, its Durable Objects on disk, the loopback network. */
export function workerdConfig(worker: WorkerService, d1Port: number | null): string {
  const modules = worker.modules.map(({ name, file }) => `(name = ${quoted(name)}, esModule = embed ${quoted(file)})`);
  const objects = worker.durableObjects.map(
    (name) => `(className = ${quoted(name)}, uniqueKey = ${quoted(`bench-${name}`)}, enableSql = true)`,
  );
  const services = [
    `(name = ${quoted(worker.name)}, worker = .worker)`,
    `(name = "network", network = (allow = ["public", "private"]))`,
    `(name = "disk", disk = (path = "storage", writable = true))`,
    ...(d1Port === null ? [] : [`(name = "d1", external = (address = "127.0.0.1:${d1Port}", http = ()))`]),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = ["--max-semi-space-size=1"],
  services = [${services.join(", ")}],
  sockets = [(name = "http", address = "127.0.0.1:${worker.port}", http = (), service = ${quoted(worker.name)})],
);
const worker :Workerd.Worker = (
  modules = [${modules.join(", ")}],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  compatibilityFlags = ["nodejs_compat"],
  globalOutbound = "network",
  bindings = [${worker.bindings.join(",\n    ")}],
  durableObjectNamespaces = [${objects.join(", ")}],
  durableObjectStorage = (localDisk = "disk"),
);
`;
}

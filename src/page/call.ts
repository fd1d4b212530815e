import { NO_TENANT } from "../audit/recorder.ts";
import type { Gate } from "../gateway/gate.ts";
import { readBodyBytes } from "../gateway/read-body.ts";
import { readHeaders } from "../gateway/read-headers.ts";
import { READ_LIMITS } from "../gateway/read-request.ts";
import { readTarget } from "../gateway/read-target.ts";
import { entryOf, openTrail, refusalEntry, type Trail } from "../gateway/trail.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { toProblem } from "../problem.ts";
import type { Refusal } from "../refusal.ts";
import { foreignForm } from "./csrf.ts";
import { document, pageHeaders, viewerOf, type Content, type Html } from "./document.ts";
import { FORM_BODY_BYTES, readForm } from "./form.ts";
import { refusalBody } from "./notice-pages.ts";
import { principalOf, type Visitor } from "./session.ts";
import { identifyVisitor } from "./visitor.ts";
import { refusalWording } from "./wording.ts";

export type WaitUntil = (work: Promise<unknown>) => void;

/** One request to a page, read strictly. `visitor` is null where nobody is signed in. */
export type PageCall = {
  readonly gate: Gate;
  readonly trail: Trail;
  readonly headers: Headers;
  readonly url: URL;
  /** Whether the page was reached by https, as every page of a deployment is. */
  readonly secure: boolean;
  readonly query: ReadonlyMap<string, string>;
  readonly form: ReadonlyMap<string, string>;
  readonly visitor: Visitor | null;
  readonly waitUntil: WaitUntil;
  readonly param: (name: string) => string;
};

/** How a page call ends. `refusal`: what it comes to for the record and the status. */
export type PageAnswer =
  | {
      readonly kind: "page";
      readonly title: string;
      readonly body: Html;
      readonly status?: number;
      readonly refusal?: Refusal;
      readonly cookies?: readonly string[];
      readonly continueTo?: string;
      readonly narrow?: boolean;
      /** Whose name and way out the page shows; absent: nobody's. */
      readonly visitor?: Visitor | null;
    }
  | { readonly kind: "see-other"; readonly location: string; readonly cookies?: readonly string[] };

/**
 * One route of the page. GET and HEAD change nothing, with one exception that says so: `provider` routes are where an identity
 * provider sends the browser back to, and are not answered to HEAD; their query is the provider's. POST takes only the named
 * fields, from a form of the gate's own.
 */
export type PageRoute = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly provider?: boolean;
  readonly fields?: readonly string[];
  readonly handle: (call: PageCall) => Promise<PageAnswer>;
};

/** Refused, as a page that says what to do. */
export const refusedPage = (refusal: Refusal, more: { hint?: Html; visitor?: Visitor | null } = {}): PageAnswer => ({
  kind: "page",
  title: refusalWording(refusal).title,
  body: refusalBody(refusal, more.hint ?? null),
  refusal,
  visitor: more.visitor ?? null,
  narrow: true,
});

/** Runs one route: strict reading, who it is, handler. Every refusal is recorded, and everything that a person was shown. */
export async function answerPage(
  route: PageRoute,
  request: Request,
  gate: Gate,
  param: (name: string) => string,
  waitUntil: WaitUntil,
): Promise<Response> {
  const trail = trailOf(route, request);
  const secure = isSecure(gate, request.url);
  const answer = await runOrRefuse({ route, request, gate, trail, secure, param, waitUntil });
  record(gate, trail, answer, waitUntil);
  return respond(gate, trail, answer, secure, waitUntil);
}

/** A provider's answer has a code in its query, which stands in no record. */
function trailOf({ provider, path }: PageRoute, request: Request): Trail {
  const trail = openTrail(request, Date.now());
  return provider === true ? { ...trail, path } : trail;
}

type Arrived = Pick<PageCall, "gate" | "trail" | "secure" | "param" | "waitUntil"> & {
  readonly route: PageRoute;
  readonly request: Request;
};

/** A bug, or a ledger that does not answer: a page all the same, which says that nothing was decided. */
async function runOrRefuse(arrived: Arrived): Promise<PageAnswer> {
  try {
    return await run(arrived);
  } catch (error) {
    const cause = describeError(error);
    log("error", "page", { cause });
    return refusedPage({ kind: "unavailable", dependency: "gate", cause });
  }
}

async function run({ route, request, gate, trail, secure, param, waitUntil }: Arrived): Promise<PageAnswer> {
  if (route.provider === true && request.method !== "GET") {
    return refusedPage({ kind: "method-not-allowed", allow: ["GET"] });
  }
  const query = readAddress(route, request);
  if (!query.ok) return refusedPage(query.error);
  const stated = readHeaders(request.headers, READ_LIMITS.headerBytes);
  if (!stated.ok) return refusedPage(stated.error);
  // Known before the rest: what is tried with somebody's session stands in their tenant's record.
  const visitor = await identifyVisitor(gate, request.headers, secure, trail.receivedAt);
  if (!visitor.ok) return refusedPage(visitor.error);
  if (visitor.value !== null) trail.principal = principalOf(visitor.value);
  const url = new URL(request.url);
  const form = await readFields(route, request, url.origin, stated.value);
  if (!form.ok) return refusedPage(form.error);
  return route.handle({
    gate,
    trail,
    headers: request.headers,
    url,
    secure,
    query: query.value,
    form: form.value,
    visitor: visitor.value,
    waitUntil,
    param,
  });
}

/** Local gates are reached by plain http on loopback; every other one by https, or not at all. */
const isSecure = (gate: Gate, url: string): boolean => gate.config.environment !== "local" || url.startsWith("https:");

/** What a provider appends is the provider's to choose; the library that reads it refuses what occurs twice. */
function readAddress(route: PageRoute, { url }: Request): Result<ReadonlyMap<string, string>, Refusal> {
  if (route.provider === true) {
    const limit = READ_LIMITS.urlBytes;
    return url.length > limit ? err({ kind: "uri-too-long", limit_bytes: limit }) : ok(new Map<string, string>());
  }
  const target = readTarget(url, READ_LIMITS.urlBytes);
  return target.ok ? ok(target.value.query) : target;
}

async function readFields(
  { method, fields = [] }: PageRoute,
  request: Request,
  origin: string,
  stated: { readonly contentType: string | null; readonly contentLength: number | null },
): Promise<Result<ReadonlyMap<string, string>, Refusal>> {
  if (method === "GET") return ok(new Map<string, string>());
  const foreign = foreignForm(request.headers, origin);
  if (foreign !== null) return err(forged(foreign));
  const limits = { bodyBytes: FORM_BODY_BYTES, bodyDeadlineMs: READ_LIMITS.bodyDeadlineMs };
  const bytes = await readBodyBytes(request, stated.contentLength, limits);
  if (!bytes.ok) return bytes;
  const form = readForm(stated.contentType, bytes.value, fields);
  return form.ok ? form : err({ kind: "malformed-request", reason: form.error });
}

/** A form that the gate did not render for this visitor: nothing happens, and the attempt is on record. */
export const forged = (how: string): Refusal => ({
  kind: "not-eligible",
  reason: `This did not come from a form that the gate made for you: ${how}. If you pressed no button here, another site tried to press one for you.`,
});

function record(gate: Gate, trail: Trail, answer: PageAnswer, waitUntil: WaitUntil): void {
  const tenant = trail.principal?.tenant ?? NO_TENANT;
  const entryId = `${trail.requestId}/request`;
  const now = Date.now();
  const refusal = answer.kind === "page" ? answer.refusal : undefined;
  if (refusal !== undefined) {
    gate.recorder.refusal(tenant, entryId, refusalEntry(trail, gate.redactor, refusal, now), waitUntil);
  } else if (trail.principal !== null) {
    const entry = {
      ...entryOf(trail, gate.redactor, "request", now),
      decision: "allow" as const,
      outcome: "succeeded",
    };
    waitUntil(gate.recorder.append(tenant, entryId, entry, false, waitUntil));
  }
}

async function respond(
  gate: Gate,
  trail: Trail,
  answer: PageAnswer,
  secure: boolean,
  waitUntil: WaitUntil,
): Promise<Response> {
  const headers = new Headers({ ...pageHeaders(secure), "gate-request-id": trail.requestId });
  for (const cookie of answer.cookies ?? []) headers.append("set-cookie", cookie);
  if (answer.kind === "see-other") {
    headers.set("location", answer.location);
    return new Response(null, { status: 303, headers });
  }
  const { title, body, status = 200, refusal, continueTo, narrow, visitor } = answer;
  const content: Content = {
    title,
    body,
    viewer: visitor === undefined || visitor === null ? null : await viewer(gate, visitor, waitUntil),
    ...(continueTo === undefined ? {} : { continueTo }),
    ...(narrow === undefined ? {} : { narrow }),
  };
  return new Response(String(await document(content)), {
    status: refusal === undefined ? status : statusOf(refusal, headers),
    headers,
  });
}

function statusOf(refusal: Refusal, headers: Headers): number {
  const problem = toProblem(refusal, { requestId: "", instance: "", action: null, tier: null });
  for (const [name, value] of Object.entries(problem.headers)) headers.set(name, value);
  return problem.status;
}

async function viewer(gate: Gate, visitor: Visitor, waitUntil: WaitUntil): Promise<Content["viewer"]> {
  const context = await gate.tenants.get(visitor.tenant, Date.now(), waitUntil);
  const handle = context.ok ? (context.value.people.bySubject(visitor.subject)?.handle ?? null) : null;
  return viewerOf(visitor, handle, gate.keys.sealing);
}

import { exports } from "cloudflare:workers";
import { expect, vi } from "vitest";
import { verdict } from "./answer.ts";
import {
  ACME_PEOPLE,
  ACME_POLICY,
  caller,
  replaceOnce,
  useBlackBox,
  type BlackBox,
  type Caller,
  type CastName,
  type Entrance,
} from "./black-box.ts";
import { ADMIN_ROUTES } from "../../src/app.ts";
import { openIsolate } from "./isolates.ts";
import { foundIn, plantCanaries, type Canaries, type Canary } from "./canaries.ts";
import { runAlarms, useSlackBox, type SlackPlace } from "./slack-box.ts";
import { readStores, waitingRows, type Stored } from "./stores.ts";
import { testEnv } from "./test-env.ts";
import type { Suite } from "./suites.ts";
import { webhookAt } from "./webhook-place.ts";

/** The last origin is the tests' own webhooks'. */
export const WEBHOOKS = testEnv.WEBHOOK_ORIGINS.split(",").at(-1) ?? "";

/** Everything that a tenant's gate says and keeps while canaries are put into it. */
type Watch = {
  readonly canaries: Canaries;
  readonly box: BlackBox;
  /** The watched way in. */
  readonly entrance: Entrance;
  /** Somebody whose requests and answers are watched. */
  readonly as: (name: CastName) => Promise<Caller>;
  /** Places whose canaries were answered to the very request that brought them. */
  readonly echoed: () => ReadonlySet<string>;
  /** Where canaries stand that were not to be there: `GitHub in a reason: D1 audit.record`. Waits until nothing is on its way. */
  readonly leaks: () => Promise<readonly string[]>;
};

type Exchange = { readonly asked: string; readonly answered: string };

/** Requests are put before people, kept for the gate to run, and may be decided without their approvers. */
const DOCUMENTS = {
  policy: replaceOnce(
    ACME_POLICY,
    "timeout_minutes: 30",
    "timeout_minutes: 30\n  execute: stored\n  break_glass: { role: on-call, max_usd: 100 }",
  ),
  people: replaceOnce(ACME_PEOPLE, "subject: person:carol\n", "subject: person:carol\n    roles: [on-call]\n"),
};

/** Opens tenants that are told of everything by Slack and by webhook, each under watch. */
export function canaryBoxes(suite: Suite): () => Promise<Watch> {
  const open = useSlackBox(suite, useBlackBox(suite));
  return async () => {
    const { box, slack } = await open(DOCUMENTS);
    const hook = { url: webhookAt(WEBHOOKS, box.tenant).url, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" };
    expect(verdict(await (await box.as("operator")).put("/_gate/v1/channels/webhook", hook))).toBe("200");
    return watch(box, slack);
  };
}

/** Watches the requests of a tenant, what its stores hold, what the Worker logs, and what its channels are sent. */
function watch(box: BlackBox, slack: SlackPlace): Watch {
  const canaries = plantCanaries();
  const exchanges: Exchange[] = [];
  const logged: string[] = [];
  for (const level of ["debug", "info", "log", "warn", "error"] as const)
    vi.spyOn(console, level).mockImplementation((...line: unknown[]) => void logged.push(line.map(String).join(" ")));

  const entrance: Entrance = async (request) => {
    const asked = `${request.method} ${request.url}\n${headersOf(request.headers)}\n${await textOf(request.clone())}`;
    const response = await exports.default.fetch(request);
    exchanges.push({
      asked,
      answered: `${response.status}\n${headersOf(response.headers)}\n${await textOf(response.clone())}`,
    });
    return response;
  };

  const echoed = (): ReadonlySet<string> =>
    new Set(exchanges.flatMap(({ asked, answered }) => bothIn(asked, answered, canaries).map(({ place }) => place)));
  const said = async (): Promise<readonly Stored[]> => [
    ...exchanges.map(({ asked, answered }) => {
      const own = new Set(bothIn(asked, answered, canaries));
      const others = foundIn(answered, canaries.all()).filter((canary) => !own.has(canary));
      return { where: `answer to ${asked.split("\n", 1)[0]}`, text: others.length === 0 ? "" : answered };
    }),
    { where: "console", text: logged.join("\n") },
    { where: "Slack", text: JSON.stringify(await slack.look()) },
    { where: "webhook", text: JSON.stringify(await webhookAt(WEBHOOKS, box.tenant).received()) },
  ];

  /** Everything that can be read at the gate's own API, by whoever may read most. */
  const readAll = async (): Promise<void> => {
    for (const { method, path } of ADMIN_ROUTES) {
      if (method !== "GET" || path.includes(":")) continue;
      for (const name of ["operator", "security", "finance"] as const)
        await (await box.as(name)).through(entrance).get(path === "/_gate/v1/audit" ? `${path}?limit=200` : path);
    }
  };

  return {
    canaries,
    box,
    entrance,
    as: async (name) => (await box.as(name)).through(entrance),
    echoed,
    leaks: async () => {
      const tenants = [box.tenant, "-"];
      // Logs one line, by which it is known that lines are seen.
      await caller(null, "", openIsolate({ SEALING_KEY: "" }).entrance).get("/");
      await runAlarms(box);
      // What was asked last is recorded after everything before it, of the tenant and of nobody.
      for (const last of [
        await (await box.as("agent")).get("/v1/workloads"),
        await caller(null, "", entrance).get("/"),
      ])
        await expect.poll(() => recorded(last.headers.get("gate-request-id"))).toBe(1);
      await expect.poll(() => waitingRows(tenants)).toBe(0);
      await readAll();
      const places = [...(await said()), ...(await readStores(tenants))];
      // A watch that sees nothing would find nothing.
      expect(logged.join("\n")).toContain('"level"');
      expect(places.some(({ where, text }) => where === "D1 audit.record" && text.includes(box.tenant))).toBe(true);
      return places.flatMap(({ where, text }) =>
        foundIn(text, canaries.all()).map(({ form, place }) => `${form} in ${place}: ${where}`),
      );
    },
  };
}

const bothIn = (asked: string, answered: string, canaries: Canaries): readonly Canary[] => {
  const sent = new Set(foundIn(asked, canaries.all()));
  return foundIn(answered, canaries.all()).filter((canary) => sent.has(canary));
};

/** Not `text()`, of which the runtime warns where the type is no text's. */
const textOf = async (message: Request | Response): Promise<string> =>
  new TextDecoder().decode(await message.arrayBuffer());

const recorded = (requestId: string | null): Promise<unknown> =>
  testEnv.DB.prepare("SELECT count(*) AS rows FROM audit WHERE request_id = ?").bind(requestId).first("rows");

const headersOf = (headers: Headers): string => [...headers].map(([name, value]) => `${name}: ${value}`).join("\n");

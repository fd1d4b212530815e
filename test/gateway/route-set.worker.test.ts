import { beforeAll, describe, expect, test } from "vitest";
import { ADMIN_ROUTES, app } from "../../src/app.ts";
import { PAGE_ROUTES } from "../../src/page/routes.ts";
import { verdict } from "../support/answer.ts";
import { caller, useBlackBox, type Caller } from "../support/black-box.ts";
import { testEnv } from "../support/test-env.ts";

/**
 * The whole route set, as the router itself has it: what `admin-routes.worker.test.ts` tries with each class of credential, the pages
 * (test/page), and what is listed here. A route that stands in none of them fails.
 */
const open = useBlackBox("route-set");

/** Answers that say nothing of any tenant. */
const PUBLIC = [
  "GET /_gate/health",
  "GET /_gate/ready",
  "GET /_gate/openapi.json",
  "GET /_gate/problems/:slug",
  /** Signed by Slack; a credential of ours is none there. */
  "POST /_gate/slack/interactions",
  /** Local gates only. */
  "POST /_gate/v1/sign-in/links",
];

/** What the deployment's secret opens, and nothing else does. */
const DEPLOYMENT = [
  "POST /_gate/v1/bootstrap",
  "POST /_gate/v1/issuers",
  "POST /_gate/v1/approval-issuers",
  "POST /_gate/v1/sign-in",
  "GET /_gate/v1/deployment/freeze",
  "POST /_gate/v1/deployment/freeze",
  "DELETE /_gate/v1/deployment/freeze",
];

const nameOf = ({ method, path }: { readonly method: string; readonly path: string }): string => `${method} ${path}`;

test("every route of the router is an administrative route, a page, or listed here", () => {
  // `ALL`: what comes before every route, what ends the gate's own namespace, and the data plane.
  const served = new Set(app.routes.filter(({ method }) => method !== "ALL").map(nameOf));
  const known = new Set([...ADMIN_ROUTES.map(nameOf), ...PAGE_ROUTES.map(nameOf), ...PUBLIC, ...DEPLOYMENT]);
  expect([...served].toSorted()).toEqual([...known].toSorted());
  expect(app.routes.filter(({ method }) => method === "ALL").map(({ path }) => path)).toEqual([
    "/*",
    "/_gate/*",
    "/_gate",
    "/*",
  ]);
});

let credentials: Readonly<Record<string, Caller>>;

beforeAll(async () => {
  const box = await open();
  credentials = {
    nobody: caller(null, ""),
    almost: caller(`${testEnv.BOOTSTRAP_SECRET.slice(0, -1)}!`, ""),
    agent: await box.as("agent"),
    service: await box.as("billing"),
    person: await box.as("carol"),
    approver: await box.as("alice"),
    operator: await box.as("operator"),
    security: await box.as("security"),
    finance: await box.as("finance"),
  };
});

describe.each(DEPLOYMENT)("%s", (route) => {
  const [method = "", path = ""] = route.split(" ");

  test("is closed to every credential of a tenant, its founders' included", async () => {
    for (const [name, one] of Object.entries(credentials)) {
      const answered = await one.send(method, path, method === "POST" ? {} : undefined);
      expect(verdict(answered), name).toBe("401 unauthenticated");
    }
  });
});

test("what is public shows no tenant, and takes no credential for another answer", async () => {
  for (const route of PUBLIC.filter((one) => one.startsWith("GET"))) {
    const path = route.slice("GET ".length).replace(":slug", "not-found");
    const plain = await credentials["nobody"]?.get(path);
    for (const [name, one] of Object.entries(credentials)) {
      const answered = await one.get(path);
      expect([answered.status, answered.text], `${route} ${name}`).toEqual([plain?.status, plain?.text]);
    }
  }
});

import { Hono, type Context } from "hono";
import { approvalAuthorities } from "./admin/approval-issuers.ts";
import { aggregateRoutes } from "./admin/aggregates.ts";
import { approvalRoutes } from "./admin/approvals.ts";
import { auditExportRoutes } from "./admin/audit-export.ts";
import { auditOpenRoutes } from "./admin/audit-open.ts";
import { auditTreeRoutes } from "./admin/audit-tree.ts";
import { auditRoutes } from "./admin/audit.ts";
import { bootstrap } from "./admin/bootstrap.ts";
import { budgetBookRoutes } from "./admin/budget-books.ts";
import { budgetChangeRoutes } from "./admin/budget-changes.ts";
import { budgetExportRoutes } from "./admin/budget-export.ts";
import { budgetRoutes } from "./admin/budget.ts";
import { answerAdmin, type AdminRoute } from "./admin/call.ts";
import { channelRoutes } from "./admin/channels.ts";
import { credentialRoutes } from "./admin/credentials.ts";
import { freezeDeployment, showDeploymentFreeze, unfreezeDeployment } from "./admin/deployment-freeze.ts";
import { evidenceRoutes } from "./admin/evidence.ts";
import { escalationRoutes } from "./admin/escalations.ts";
import { incidentRoutes } from "./admin/incidents.ts";
import { accessIssuers } from "./admin/issuers.ts";
import { openApiDocument } from "./admin/openapi/openapi.ts";
import { policyActivationRoutes } from "./admin/policy-activation.ts";
import { policyVersionRoutes } from "./admin/policy-versions.ts";
import { policyRoutes } from "./admin/policy.ts";
import { problemPage, readiness } from "./admin/public.ts";
import { reconciliationRoutes } from "./admin/reconciliation.ts";
import { askToRegister, registrationRoutes } from "./admin/registration.ts";
import { resolveRoutes } from "./admin/resolve.ts";
import { signedDecisionRoutes } from "./admin/signed-decisions.ts";
import { standingApprovalRoutes } from "./admin/standing-approvals.ts";
import { sessionRoutes } from "./admin/sessions.ts";
import { upstreamCredentialRoutes } from "./admin/upstream-credential.ts";
import { tenantRoutes } from "./admin/tenant-routes.ts";
import { usageRoutes } from "./admin/usage.ts";
import { NO_TENANT } from "./audit/recorder.ts";
import type { Env } from "./env.ts";
import { openGate, type Gate } from "./gateway/gate.ts";
import { handleRequest } from "./gateway/pipeline.ts";
import { problemResponse } from "./gateway/respond.ts";
import { openTrail, refusalEntry } from "./gateway/trail.ts";
import { describeError } from "./platform/describe-error.ts";
import { answerPage } from "./page/call.ts";
import { PAGE_ROUTES } from "./page/routes.ts";
import { answerMakeLink } from "./page/sign-in/make-link.ts";
import { SIGN_IN_ID, signInRegistry } from "./page/sign-in/register.ts";
import { newId } from "./platform/ids.ts";
import { log } from "./platform/log.ts";
import { toProblem } from "./problem.ts";
import type { Refusal } from "./refusal.ts";
import { answerInteraction } from "./slack/route.ts";

/** Every route of the gate's own authenticated API: a test tries each with each class of credential. */
export const ADMIN_ROUTES: readonly AdminRoute[] = [
  ...tenantRoutes,
  ...budgetRoutes,
  ...aggregateRoutes,
  ...budgetChangeRoutes,
  ...budgetBookRoutes,
  ...budgetExportRoutes,
  ...reconciliationRoutes,
  ...usageRoutes,
  ...resolveRoutes,
  ...auditOpenRoutes,
  ...approvalRoutes,
  ...signedDecisionRoutes,
  ...standingApprovalRoutes,
  ...evidenceRoutes,
  ...incidentRoutes,
  ...escalationRoutes,
  ...auditRoutes,
  ...auditExportRoutes,
  ...auditTreeRoutes,
  ...credentialRoutes,
  ...policyRoutes,
  ...policyVersionRoutes,
  ...policyActivationRoutes,
  ...registrationRoutes(accessIssuers),
  ...registrationRoutes(approvalAuthorities),
  ...registrationRoutes(signInRegistry, SIGN_IN_ID),
  ...upstreamCredentialRoutes,
  ...channelRoutes,
  ...sessionRoutes,
];

type Bindings = { Bindings: Env; Variables: { gate: Gate } };

/**
 * The map: `/_gate/` is the gate's own, everything else is the data plane. Hono only routes here; every handler reads its
 * request strictly by itself, from the raw URL and the raw bytes.
 */
export const app = new Hono<Bindings>();

app.get("/_gate/health", (c) => c.json({ status: "ok" }));

app.use("*", async (c, next) => {
  const gate = await openGate(c.env);
  if (!gate.ok) {
    log("error", "configuration", { problems: gate.error.join("; ") });
    return unavailable("configuration", "the configuration is incomplete");
  }
  c.set("gate", gate.value);
  return next();
});

app.get("/_gate/ready", (c) => readiness(c.get("gate")));
app.get("/_gate/openapi.json", (c) => c.json(openApiDocument(ADMIN_ROUTES)));
app.get("/_gate/problems/:slug", (c) => problemPage(c.req.param("slug")));
app.post("/_gate/v1/bootstrap", (c) => bootstrap(c.req.raw, c.get("gate"), (work) => c.executionCtx.waitUntil(work)));
for (const registry of [accessIssuers, approvalAuthorities, signInRegistry]) {
  app.post(registry.path, (c) =>
    askToRegister(registry, c.req.raw, c.get("gate"), (work) => c.executionCtx.waitUntil(work)),
  );
}
app.get("/_gate/v1/deployment/freeze", (c) =>
  showDeploymentFreeze(c.req.raw, c.get("gate"), (work) => c.executionCtx.waitUntil(work)),
);
app.post("/_gate/v1/deployment/freeze", (c) =>
  freezeDeployment(c.req.raw, c.get("gate"), (work) => c.executionCtx.waitUntil(work)),
);
app.delete("/_gate/v1/deployment/freeze", (c) =>
  unfreezeDeployment(c.req.raw, c.get("gate"), (work) => c.executionCtx.waitUntil(work)),
);
app.post("/_gate/slack/interactions", (c) =>
  answerInteraction(c.req.raw, c.get("gate"), (work) => c.executionCtx.waitUntil(work)),
);

app.post("/_gate/v1/sign-in/links", (c) =>
  answerMakeLink(c.req.raw, c.get("gate"), (work) => c.executionCtx.waitUntil(work)),
);

for (const route of PAGE_ROUTES) {
  app.on(route.method, route.path, (c) =>
    answerPage(
      route,
      c.req.raw,
      c.get("gate"),
      (name) => c.req.param(name) ?? "",
      (work) => c.executionCtx.waitUntil(work),
    ),
  );
}

for (const route of ADMIN_ROUTES) {
  app.on(route.method, route.path, (c) =>
    answerAdmin(
      route,
      c.req.raw,
      c.get("gate"),
      (name) => c.req.param(name) ?? "",
      (work) => c.executionCtx.waitUntil(work),
    ),
  );
}

// Nothing of the gate's own namespace ever reaches the data plane.
for (const path of ["/_gate/*", "/_gate"]) {
  app.all(path, (c) => recorded(c, { kind: "not-found" }));
}

app.all("*", (c) => handleRequest(c.req.raw, c.get("gate"), (work) => c.executionCtx.waitUntil(work)));

/** A bug: whatever it was, the answer says nothing of it, and a write that was not admitted was not sent. */
app.onError((error, c) => {
  const cause = describeError(error);
  log("error", "unexpected", { cause });
  return recorded(c, { kind: "unavailable", dependency: "gate", cause });
});

/** Endings outside the pipelines are endings too: one audit record each, of no tenant. */
function recorded(c: Context<Bindings>, refusal: Refusal): Response {
  const gate: Gate | undefined = c.get("gate");
  if (gate === undefined) return problem(refusal);
  const trail = openTrail(c.req.raw, Date.now());
  const entry = refusalEntry(trail, gate.redactor, refusal, Date.now());
  gate.recorder.refusal(NO_TENANT, `${trail.requestId}/request`, entry, (work) => c.executionCtx.waitUntil(work));
  return problemResponse(trail, refusal, "problem", Date.now());
}

const unavailable = (dependency: string, cause: string): Response =>
  problem({ kind: "unavailable", dependency, cause });

function problem(refusal: Refusal): Response {
  const { status, body, headers } = toProblem(refusal, {
    requestId: newId("req"),
    instance: "/",
    action: null,
    tier: null,
  });
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...headers, "content-type": "application/problem+json", "cache-control": "no-store" },
  });
}

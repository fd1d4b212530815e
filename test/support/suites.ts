/**
 * Black-box suites, one per file of `test/gateway`. Each has an example control plane of its own, so that the faults and
 * the request log of one never meet another's. The name is also what its catalogue states as `control_plane`.
 */
export const SUITES = [
  "story",
  "policy-tables",
  "order",
  "races",
  "approvals",
  "changes",
  "outcomes",
  "credentials",
  "wire",
  "outage",
  "hops",
  "affected",
  "stored",
  "routes",
  "openapi",
  "attack-proposals",
  "attack-records",
  "audit-export",
  "audit-list",
  "audit-proofs",
  "audit-verify",
  "audit-sql",
  "audit-retention",
  "audit-webhook",
  "signed",
  "standing",
  "slack-flow",
  "slack-trouble",
  "slack-clicks",
  "slack-reading",
  "webhook",
  "activity",
  "freeze",
  "deployment-freeze",
  "alerts",
  "break-glass",
  "money",
  "usage",
  "page",
  "page-forms",
  "page-sign-in",
  "page-access",
  "prices",
  "running",
  "finance-sign-in",
  "incidents",
  "incidents-told",
  "canaries",
  "canaries-said",
  "versions",
  "remediation",
  "guardrails",
  "route-set",
  "registrations",
  "aggregates",
] as const;
export type Suite = (typeof SUITES)[number];

/** Tenants that one suite may make: each test makes fresh ones, each with an upstream credential of its own. */
export const TENANTS_PER_SUITE = 80;

/** Upstream credential of a suite's `index`-th tenant, from 1. */
export const upstreamToken = (suite: Suite, index: number): string => `upstream-${suite}-${index}`;

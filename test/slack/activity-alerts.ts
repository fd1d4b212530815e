import type { ActivityAlert } from "../../src/notify/activity.ts";

const AT = Date.UTC(2026, 10, 20, 14, 2);

/** One line of a message about activity. */
export const activityLine = (over: Partial<ActivityAlert["lines"][number]> = {}): ActivityAlert["lines"][number] => ({
  action: "insights.analyze",
  principal: "agent:trainer",
  tier: 1,
  count: 12,
  firstRequestId: "req_01m4k2vd5xkq3t9r7c8n0b6h2a",
  firstAt: AT,
  lastRequestId: "req_01m4k2ve1yhn8w2p4s6d9f3g5j",
  lastAt: AT + 240_000,
  reason: "why is job 7 slow?",
  ...over,
});

/** A message about activity that shows these lines. */
export const activityAlert = (
  lines: ActivityAlert["lines"] = [activityLine()],
  more: ActivityAlert["more"] = { lines: 0, requests: 0 },
): ActivityAlert => ({
  kind: "activity",
  requests: lines.reduce((sum, { count }) => sum + count, more.requests),
  since: AT,
  until: AT + 240_000,
  lines,
  more,
});

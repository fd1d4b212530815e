import { holds, number, text, type Tables } from "./tables.ts";

/** The reservation states that go with each state of an operation. What failed may have cost something after all, as billing says. */
const HOLD_OF_OPERATION: Readonly<Record<string, readonly string[]>> = {
  dispatching: ["dispatching"],
  unknown: ["unknown"],
  succeeded: ["committed", "settled"],
  failed: ["released", "settled by usage"],
  "not-sent": ["released", "settled by usage"],
};

const OPEN: ReadonlySet<unknown> = new Set(["draft", "pending", "approved"]);

/** Every operation has the hold that its state says, and keeps its resource busy exactly as long as it is open. */
export function checkOperations(tables: Tables): void {
  const reservations = new Map(tables.reservations.map((row) => [row["id"], row]));
  const busy = new Map(tables.busy_resources.map((row) => [row["request_id"], row["resource"]]));
  for (const { request_id: id, state, resource, completed_at: completedAt } of tables.operations) {
    const hold = reservations.get(id ?? null);
    const name = `operation ${String(id)} (${String(state)})`;
    const held = hold?.["settled_by"] === "usage" ? ["settled", "settled by usage"] : [text(hold, "state")];
    const fitting = HOLD_OF_OPERATION[String(state)] ?? [];
    holds(
      held.some((one) => fitting.includes(one)),
      () => `${name}: its hold is ${held.join()}`,
    );
    const isOpen = state === "dispatching" || state === "unknown";
    holds((completedAt === null) === isOpen, () => `${name}: completed`);
    holds((busy.get(id ?? null) ?? null) === (isOpen ? (resource ?? null) : null), () => `${name}: busy resource`);
    busy.delete(id ?? null);
  }
  holds(busy.size === 0, () => `nothing is kept busy without an operation: ${[...busy].join()}`);
}

/** Every proposal has the hold that its state says, was spent once at most and only on its own request. */
export function checkApprovals(tables: Tables): void {
  const states = new Map(tables.reservations.map((row) => [row["id"], row["state"]]));
  const operations = new Map(tables.operations.map((row) => [row["request_id"], row]));
  const standing = new Set(tables.standing_approvals.map((row) => row["id"]));
  const open = new Set<string>();
  for (const approval of tables.approvals) {
    const { id, state, consumed_by: by, grant_jti: jti } = approval;
    const name = `approval ${String(id)} (${String(state)})`;
    const request = `${text(approval, "principal")} ${text(approval, "request_digest")}`;
    if (OPEN.has(state)) {
      holds(!open.has(request), () => `${name}: one open approval per request and principal`);
      open.add(request);
    }
    const hold = states.get(id ?? null);
    if (standing.has(id ?? null)) {
      const bare = hold === undefined && by === null && jti === null && state !== "consumed";
      holds(bare, () => `${name}: a standing one holds and spends nothing itself`);
      continue;
    }
    const expected = state === "draft" ? undefined : OPEN.has(state) ? "held" : "released";
    // One that ended as a draft never held anything.
    const endedAsDraft = expected === "released" && hold === undefined;
    holds(endedAsDraft || hold === expected, () => `${name}: its hold is ${String(hold)}`);
    holds((by !== null) === (state === "consumed"), () => `${name}: spent`);
    if (state === "approved" || state === "consumed") holds(jti !== null, () => `${name}: has an id of its own`);
    if (by === null) continue;
    const operation = operations.get(by ?? null);
    const own =
      operation?.["principal"] === approval["principal"] &&
      operation?.["request_digest"] === approval["request_digest"];
    holds(own, () => `${name}: spent on its own request by its own principal`);
  }
  const uses = [
    ...[...tables.approvals, ...tables.receipts].flatMap((row) => row["consumed_by"] ?? []),
    ...tables.standing_uses.flatMap((row) => row["request_id"] ?? []),
  ];
  holds(new Set(uses).size === uses.length, () => "each admission spends one approval, receipt or use at most");
  holds(
    uses.every((use) => operations.has(use)),
    () => "what was spent was spent on an admission",
  );
}

/** The counts of a standing approval are its uses, its USD their holds, and neither is more than was granted. */
export function checkStandingUses(tables: Tables): void {
  if (tables.standing_approvals.length === 0 && tables.standing_uses.length === 0) return;
  const submitted = new Map(tables.reservations.map((row) => [row["id"], number(row, "ceiling_micros")]));
  for (const row of tables.standing_approvals) {
    const own = tables.standing_uses.filter((use) => use["approval_id"] === row["id"]);
    const micros = own.reduce((sum, use) => sum + number(use, "micros"), 0);
    const name = `standing approval ${text(row, "id")}`;
    holds(number(row, "used") === own.length && number(row, "used_micros") === micros, () => `${name}: what is used`);
    holds(own.length <= number(row, "uses") && micros <= number(row, "cap_micros"), () => `${name}: what was granted`);
  }
  const granted = new Set(tables.standing_approvals.map((row) => row["id"]));
  for (const use of tables.standing_uses) {
    const name = `use ${text(use, "request_id")}`;
    holds(granted.has(use["approval_id"] ?? null), () => `${name}: of a standing approval`);
    holds(submitted.get(use["request_id"] ?? null) === use["micros"], () => `${name}: its hold`);
  }
}

/** Whatever waits for time to pass has a job that will come, and the alarm comes for it. */
export function checkJobs(tables: Tables): void {
  const planned = new Map<string, number[]>();
  for (const row of tables.due) {
    const key = `${text(row, "job")} ${text(row, "ref")}`;
    planned.set(key, [...(planned.get(key) ?? []), number(row, "at")]);
  }
  const jobs = (job: string, row: string): readonly number[] => planned.get(`${job} ${row}`) ?? [];
  for (const row of tables.approvals) {
    const id = text(row, "id");
    if (OPEN.has(row["state"]))
      holds(jobs("approval-expiry", id).includes(number(row, "expires_at")), () => `expiry of ${id} is planned`);
  }
  const routes = new Map<string, boolean>();
  for (const row of tables.operations) {
    const [id, state] = [text(row, "request_id"), text(row, "state")];
    routes.set(id, row["route"] !== null);
    if (state === "dispatching")
      holds(jobs("dispatch-deadline", id).length === 1, () => `deadline of ${id} is planned`);
    if (state === "unknown" && row["can_look_up"] === 1)
      holds(jobs("reconcile", id).length > 0, () => `look-up of ${id} is planned`);
  }
  for (const row of tables.reservations) {
    const id = text(row, "id");
    if (row["state"] !== "committed") continue;
    holds(jobs("ceiling", id).length === 1, () => `the end of ${id} is planned`);
    if (row["resource"] !== null && routes.get(id) === true)
      holds(jobs("status-poll", id).length > 0, () => `a look at ${id} is planned`);
  }
  for (const row of tables.budget_changes) {
    const id = text(row, "id");
    if (row["state"] === "pending")
      holds(jobs("budget-change-expiry", id).includes(number(row, "expires_at")), () => `expiry of ${id} is planned`);
  }
  if (tables.due.length === 0 || tables.alarmAt === undefined) return;
  const first = Math.min(...tables.due.map((row) => number(row, "at")));
  const { alarmAt } = tables;
  holds(
    alarmAt !== null && alarmAt <= first,
    () => `the alarm (${String(alarmAt)}) comes for the first job (${first})`,
  );
}

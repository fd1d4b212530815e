import { describe, expect, it } from "vitest";
import {
  checkConstraint,
  checkConstraints,
  constraintTarget,
  impliesConstraints,
} from "../../src/catalogue/constraints.ts";
import type { Constraints } from "../../src/catalogue/constraints.ts";
import type { Fact, Facts } from "../../src/vocabulary.ts";

const facts: Facts = { gpus: 4, job_type: "elastic", spot: true, ids: ["a", "b"], none: [] };

describe("a constraint holds only when its fact says so", () => {
  it.each<[string, Fact, string]>([
    ["max_gpus", 4, "holds"],
    ["max_gpus", 3, "broken"],
    ["min_gpus", 4, "holds"],
    ["min_gpus", 5, "broken"],
    ["gpus", 4, "holds"],
    ["gpus", 5, "broken"],
    ["job_type", ["elastic", "reserved"], "holds"],
    ["job_type", ["reserved"], "broken"],
    ["job_type", "elastic", "holds"],
    ["job_type", "Elastic", "broken"],
    ["spot", true, "holds"],
    ["spot", false, "broken"],
    ["ids", ["a", "b", "c"], "holds"],
    ["ids", ["a"], "broken"],
    ["none", ["a"], "broken"],
    // A limit of another type than the fact is never converted.
    ["max_gpus", "4", "broken"],
    ["max_job_type", 4, "broken"],
    ["spot", "true", "broken"],
    ["gpus", ["4"], "broken"],
    // A fact that is not there is missing, whatever the limit allows.
    ["max_hours", 1_000_000, "missing"],
    ["hours", 0, "missing"],
    ["toString", "x", "missing"],
    ["constructor", "x", "missing"],
  ])("%s: %j is %s", (name, limit, kind) => {
    expect(checkConstraint(name, limit, facts).kind).toBe(kind);
  });

  it("names what is broken and what is missing", () => {
    expect(checkConstraints({ max_gpus: 2, max_hours: 8 }, facts)).toEqual({
      holds: false,
      violations: [{ constraint: "max_gpus", limit: 2, actual: 4 }],
      missing: ["hours"],
    });
    expect(constraintTarget("max_gpus", 4)).toEqual({ kind: "max", fact: "gpus" });
  });
});

describe("an entry may stand at a floor's tier only when it implies the floor's condition", () => {
  it.each<[Constraints, Constraints | null, boolean]>([
    [{ max_gpus: 4 }, { max_gpus: 4 }, true],
    [{ max_gpus: 2 }, { max_gpus: 4 }, true],
    [{ max_gpus: 5 }, { max_gpus: 4 }, false],
    [{}, { max_gpus: 4 }, false],
    [{}, {}, true],
    [{}, null, true],
    [{ gpus: 4 }, { max_gpus: 4 }, true],
    [{ gpus: 5 }, { max_gpus: 4 }, false],
    [{ min_gpus: 2 }, { max_gpus: 4 }, false],
    [{ min_gpus: 8 }, { min_gpus: 4 }, true],
    [{ job_type: ["elastic"] }, { job_type: ["elastic", "reserved"] }, true],
    [{ job_type: "elastic" }, { job_type: ["elastic"] }, true],
    [{ job_type: ["elastic", "reserved"] }, { job_type: "elastic" }, false],
    [{ job_type: ["elastic"], max_hours: 1 }, { max_gpus: 4 }, false],
    [{ max_gpus: 4 }, { max_gpus: 4, max_hours: 1 }, false],
  ])("%j implies %j: %s", (entry, floor, expected) => {
    expect(impliesConstraints(entry, floor)).toBe(expected);
  });
});

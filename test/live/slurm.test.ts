import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { startGate } from "../../example/start/running-gate.ts";
import type { RunningGate } from "../../example/start/running-gate.ts";
import { readSettings } from "../../example/start/settings.ts";
import { list, member, text, verdict } from "../support/answer.ts";
import type { Answered } from "../support/answer.ts";
import { LAB_USER, startSlurmLab } from "../support/slurm-lab.ts";
import type { LabJob, SlurmLab } from "../support/slurm-lab.ts";
import { approve, seatOf, withReceipt } from "../support/slurm/gate-seat.ts";
import type { Seat } from "../support/slurm/gate-seat.ts";
import { API, SUBMIT, jobBody } from "../support/slurm/jobs.ts";
import type { JobBody } from "../support/slurm/jobs.ts";
import { missingForSlurm } from "../support/slurm/programs.ts";
import { startRecordingProxy } from "../support/slurm/recording-proxy.ts";
import type { RecordingProxy } from "../support/slurm/recording-proxy.ts";
import { TRICKS, plainRequest, requestOf } from "../support/slurm/tricks.ts";
import { sendVerbatim } from "../support/slurm/verbatim.ts";
import type { Verbatim } from "../support/slurm/verbatim.ts";

/** A look-up every half second instead of every minute: absence takes two. */
const TIMINGS = { RECONCILE_GRACE_MS: "500", UPSTREAM_DEADLINE_MS: "10000" };
const LOOK_UP_WITHIN = { timeout: 15_000, interval: 100 };
/** Price of an H100 hour in policies/prices/slurm-lab.yaml, and the minutes that every job here asks for. */
const MICROS_PER_HOUR = 2_500_000;
const MINUTES = 12;
const ceilingOf = (gpus: number): number => (gpus * MICROS_PER_HOUR * MINUTES) / 60;

// Where the environment demands the live suites, a missing slurmrestd fails in `beforeAll` instead of skipping.
const missing = missingForSlurm();
const isRunnable = missing === null || process.env["REQUIRE_LIVE"] === "1";
if (!isRunnable) console.warn(`Slurm: SKIPPED, because ${missing}`);

describe.skipIf(!isRunnable)(`a real Slurm behind the gate${isRunnable ? "" : ` (SKIPPED: ${missing})`}`, () => {
  const stops: (() => Promise<void> | void)[] = [];
  let lab: SlurmLab;
  let proxy: RecordingProxy;
  let running: RunningGate;
  let agent: Seat;
  let jobs = 0;

  beforeAll(async () => {
    lab = await startSlurmLab();
    stops.push(lab.stop);
    proxy = await startRecordingProxy(lab.url);
    stops.push(proxy.stop);
    const stateDir = mkdtempSync(join(tmpdir(), "portcullis-slurm-gate-"));
    stops.push(() => rmSync(stateDir, { recursive: true, force: true }));
    // What `npm start` reads, with the settings that docs/slurm.md names.
    const settings = readSettings({
      UPSTREAM_URL: proxy.url,
      CATALOGUE: "slurm-v0.0.38",
      UPSTREAM_CREDENTIAL: JSON.stringify(lab.credential),
    });
    if (!settings.ok) throw new Error(settings.error);
    running = await startGate({ ...settings.value, port: 0, stateDir, extraEnv: TIMINGS });
    stops.push(running.stop);
    agent = seatOf(running.demo, "agent");
  });
  afterEach(async () => {
    await lab.cancelAll();
    proxy.forget();
  });
  afterAll(async () => {
    // Last started, first stopped; whatever did start is stopped even if the next did not, or cannot be.
    const ends = [];
    for (const stop of stops.toReversed()) ends.push(await Promise.resolve(stop()).then(() => null, String));
    expect(ends.filter((end) => end !== null)).toEqual([]);
  });

  /** A body of its own for every call: a repeated one would be answered from the first. */
  const job = (over: object, name = `job-${++jobs}`): JobBody => jobBody(name, { time_limit: MINUTES, ...over });
  /** Past gate and proxy. */
  const direct = (request: Verbatim): Promise<Answered> => {
    const credential = { "x-slurm-user-name": lab.credential.user, "x-slurm-user-token": lab.credential.token };
    const headers = { "content-type": "application/json", ...credential, ...request.headers };
    return sendVerbatim(lab.url, { ...request, headers });
  };
  /** Fills every GPU of the cluster past the gate: whatever is submitted next waits. */
  const occupy = async (): Promise<void> => {
    const body = JSON.stringify(job({ gpus_per_node: "8", nodes: "4" }));
    expect((await direct({ method: "POST", path: SUBMIT, body })).status).toBe(200);
  };
  const known = async (id: string): Promise<LabJob> => {
    const found = await lab.job(id);
    if (found === null) throw new Error(`the cluster knows no job ${id}`);
    return found;
  };
  const mutations = () => proxy.requests().filter(({ method }) => method !== "GET");
  const operation = (id: string): Promise<Answered> =>
    agent.send({ method: "GET", path: `/_gate/v1/operations/${id}` });
  const operationEnds = (id: string, state: string): Promise<Answered> =>
    vi.waitFor(async () => {
      const answered = await operation(id);
      expect(member(answered, "state")).toBe(state);
      return answered;
    }, LOOK_UP_WITHIN);
  const heldMicros = async (): Promise<number> => {
    const answered = await agent.send({ method: "GET", path: "/_gate/v1/budget" });
    return Number(member(answered, "daily", "held_micros"));
  };
  const approved = async (answered: Answered, people: Parameters<typeof approve>[2]): Promise<void> => {
    expect(verdict(answered), answered.text).toBe("428 approval-required");
    await approve(running.demo, text(answered, "approval", "id"), people);
  };

  describe("reads pass as they are", () => {
    it.each([
      ["/jobs", "workloads.list", "jobs"],
      ["/nodes", "gpus.status", "nodes"],
      ["/node/gpu01", "gpus.status", "nodes"],
      ["/partitions", "capacity.get", "partitions"],
      ["/partition/gpu", "capacity.get", "partitions"],
      ["/reservations", "reservations.list", "reservations"],
      ["/licenses", "cluster.status", "licenses"],
      ["/diag", "cluster.status", "statistics"],
      ["/ping", "cluster.status", "pings"],
    ])("GET %s is %s, tier 0", async (path, action, content) => {
      const answered = await agent.call("GET", `${API}${path}`);
      expect(verdict(answered), answered.text).toBe("200");
      expect(member(answered, "errors")).toEqual([]);
      expect(member(answered, content)).toBeTruthy();
      expect(answered.headers.get("gate-action")).toBe(action);
      expect(answered.headers.get("gate-tier")).toBe("0");
      expect(proxy.requests().map(({ method, path: sent }) => `${method} ${sent}`)).toEqual([`GET ${API}${path}`]);
    });

    it("the API's description, unchanged", async () => {
      const answered = await agent.call("GET", "/openapi");
      expect(answered.text).toBe((await direct({ method: "GET", path: "/openapi" })).text);
    });

    it("one job, and Slurm's own 500 for a job that it does not know", async () => {
      await occupy();
      const id = jobId(await agent.call("GET", `${API}/jobs`), "jobs", 0);
      expect(verdict(await agent.call("GET", `${API}/job/${id}`))).toBe("200");
      const unknown = await agent.call("GET", `${API}/job/999999`);
      expect(unknown.status).toBe(500);
      expect(member(unknown, "errors", 0, "error_number")).toBe(2017);
    });
  });

  describe("submitting", () => {
    it("one GPU is tier 2: the gate's own plan, a receipt, one job that carries the gate's reference", async () => {
      const body = job({ gpus: "1" });
      expect(verdict(await agent.call("POST", SUBMIT, body))).toBe("428 dry-run-required");
      const plan = await agent.call("POST", SUBMIT, body, { "gate-dry-run": "?1" });
      expect(plan.body).toMatchObject({
        decision: "plan",
        tier: 2,
        upstream: null,
        facts: { gpus: 1, gpu_type: "H100", minutes: MINUTES, partition: "gpu", job_type: "gpu" },
        cost: { ceiling_micros: ceilingOf(1) },
      });
      expect(proxy.requests()).toEqual([]);
      expect(await lab.jobs()).not.toContainEqual(expect.objectContaining({ JobName: `job-${jobs}` }));

      const before = await heldMicros();
      const submitted = await agent.call("POST", SUBMIT, body, { "gate-plan": text(plan, "receipt") });
      const id = jobNumber(submitted);
      expect(await known(id)).toMatchObject({
        JobName: `job-${jobs}`,
        Comment: `portcullis:${requestId(submitted)}`,
        TresPerJob: "gres:gpu:1",
        TimeLimit: "00:12:00",
        UserId: expect.stringMatching(new RegExp(`^${LAB_USER}\\(`)),
      });
      expect((await operationEnds(requestId(submitted), "succeeded")).body).toMatchObject({
        resource: id,
        upstream_status: 200,
        reservation: { state: "committed", ceiling_micros: ceilingOf(1) },
      });
      expect((await heldMicros()) - before).toBe(ceilingOf(1));

      const again = await agent.call("POST", SUBMIT, body, { "gate-plan": text(plan, "receipt") });
      expect(again.headers.get("idempotency-replayed")).toBe("?1");
      expect(jobNumber(again)).toBe(id);
      expect(mutations()).toHaveLength(1);
    });

    it("the job really runs, as the user of the upstream credential, on one GPU", async () => {
      const id = jobNumber(await withReceipt(agent, "POST", SUBMIT, job({ gpus: 1 })));
      await vi.waitFor(async () => expect(await known(id)).toMatchObject({ JobState: "RUNNING" }), LOOK_UP_WITHIN);
      const read = await agent.call("GET", `${API}/job/${id}`);
      expect(list(read, "jobs", 0, "gres_detail")).toEqual([expect.stringMatching(/^gpu:h100:1\(/)]);
    });

    it("eight GPUs are tier 3: nothing is sent until an approver has agreed", async () => {
      const body = job({ gpus: "h100:8" });
      const refused = await agent.call("POST", SUBMIT, body);
      expect(refused.body).toMatchObject({ tier: 3, approval: { state: "pending", needed: 1, given: 0 } });
      const proposal = text(refused, "approval", "id");
      await expect(approve(running.demo, proposal, ["carol"])).rejects.toThrow(/^carol: 40[34] /);
      expect(verdict(await agent.call("POST", SUBMIT, body))).toBe("428 approval-required");
      expect(proxy.requests()).toEqual([]);

      await approve(running.demo, proposal, ["alice"]);
      const id = jobNumber(await agent.call("POST", SUBMIT, body));
      expect(await known(id)).toMatchObject({ TresPerJob: "gres:gpu:h100:8" });
      expect(mutations()).toHaveLength(1);
    });

    it("more than the policy allows is refused, with the nearest size that would pass", async () => {
      const refused = await agent.call("POST", SUBMIT, job({ gpus_per_node: "8", nodes: "4-5" }));
      expect(refused.body).toMatchObject({
        slug: "constraint-exceeded",
        violations: [{ constraint: "max_gpus", limit: 32, actual: 40 }],
        nearest: { facts: { gpus: 32 }, tier: 3 },
      });
      expect(proxy.requests()).toEqual([]);
    });

    it("a job that Slurm takes but lets wait is a job: its answer names errors beside the id", async () => {
      const over = { gpus: 1, time_limit: 2_881 };
      const submitted = await withReceipt(agent, "POST", SUBMIT, job(over));
      expect(member(submitted, "errors", 0, "error_code")).toBe(2015);
      const id = jobNumber(submitted);
      expect(await known(id)).toMatchObject({ JobState: "PENDING", TimeLimit: "2-00:01:00" });
      await operationEnds(requestId(submitted), "succeeded");
    });

    it("what slurmctld refuses is failed and holds nothing", async () => {
      const before = await heldMicros();
      // No A100 in this cluster; a price there is.
      const refused = await withReceipt(agent, "POST", SUBMIT, job({ gpus: "a100:1" }));
      expect(refused.status).toBe(500);
      expect(member(refused, "errors", 0, "error_code")).toBe(2014);
      const ended = await operationEnds(requestId(refused), "failed");
      expect(member(ended, "reservation", "state")).toBe("released");
      expect(await heldMicros()).toBe(before);
    });
  });

  describe("changing and ending jobs", () => {
    it("growing a pending job is judged by what results: 2 GPUs tier 2, 8 GPUs tier 3", async () => {
      await occupy();
      const id = jobNumber(await withReceipt(agent, "POST", SUBMIT, job({ gpus: "1" })));
      expect(await known(id)).toMatchObject({ JobState: "PENDING", TresPerJob: "gres:gpu:1" });
      const path = `${API}/job/${id}`;
      proxy.forget();

      const grown = await withReceipt(agent, "POST", path, { gpus: "2" });
      expect(verdict(grown), grown.text).toBe("200");
      expect(grown.headers.get("gate-tier")).toBe("2");
      expect(await known(id)).toMatchObject({ TresPerJob: "gres:gpu:2" });
      expect(mutations().map(({ body }) => body)).toEqual(['{"gpus":"2"}']);

      const refused = await agent.call("POST", path, { gpus: "8" });
      expect(refused.body).toMatchObject({ tier: 3, action: "workloads.update" });
      expect(mutations()).toHaveLength(1);
      await approved(refused, ["alice"]);
      expect(verdict(await agent.call("POST", path, { gpus: "8" }))).toBe("200");
      expect(await known(id)).toMatchObject({ TresPerJob: "gres:gpu:8" });

      // Eight it is now, and eight it stays: a later change of the time alone is tier 3 as well.
      expect(member(await agent.call("POST", path, { time_limit: 60 }), "tier")).toBe(3);
    });

    it("an approval for what a job would become is void once the job has changed", async () => {
      await occupy();
      const id = jobNumber(await withReceipt(agent, "POST", SUBMIT, job({ gpus_per_node: "1", nodes: "1" })));
      const change = (body: object): Promise<Answered> => agent.call("POST", `${API}/job/${id}`, body);
      const before = await change({ nodes: "8" });
      await approved(before, ["alice"]);
      // Someone else, past the gate: the same words would now mean 16 GPUs.
      const path = `${API}/job/${id}`;
      expect((await direct({ method: "POST", path, body: '{"gpus_per_node":"2"}' })).status).toBe(200);
      proxy.forget();
      const now = await change({ nodes: "8" });
      expect(now.body).toMatchObject({ slug: "approval-required", approval: { given: 0 } });
      expect(text(now, "approval", "id")).not.toBe(text(before, "approval", "id"));
      expect(mutations()).toEqual([]);
      expect(await known(id)).toMatchObject({ NumNodes: "1-1" });
    });

    it("what slurmrestd answers with 200 and errors[] is failed and holds nothing", async () => {
      await occupy();
      const id = jobNumber(await withReceipt(agent, "POST", SUBMIT, job({ gpus: "1" })));
      await vi.waitFor(async () => expect(await heldMicros()).toBeGreaterThan(0), LOOK_UP_WITHIN);
      const before = await heldMicros();
      // Fewer GPUs than nodes: slurmrestd does not get past parsing, and says so with 200.
      const refused = await withReceipt(agent, "POST", `${API}/job/${id}`, { gpus: "1", nodes: "2" });
      expect(refused.status).toBe(200);
      expect(member(refused, "errors", 0, "error_number")).toBe(9001);
      const ended = await operationEnds(requestId(refused), "failed");
      expect(member(ended, "reservation", "state")).toBe("released");
      expect(await heldMicros()).toBe(before);
      expect(await known(id)).toMatchObject({ NumNodes: "1", TresPerJob: "gres:gpu:1" });
    });

    it("an update that Slurm refuses after it has changed part of the job stays unknown and held", async () => {
      await occupy();
      const id = jobNumber(await withReceipt(agent, "POST", SUBMIT, job({ gpus: "2" })));
      const refused = await withReceipt(agent, "POST", `${API}/job/${id}`, { nodes: "2", time_limit: 2_881 });
      expect(verdict(refused), refused.text).toBe("504 outcome-unknown");
      // The time limit is above the partition's: slurmctld refused it with the new number of nodes already written.
      expect(await known(id)).toMatchObject({ NumNodes: expect.stringMatching(/-2$/), TimeLimit: "00:12:00" });
      const kept = await operationEnds(requestId(refused), "unknown");
      expect(member(kept, "reservation", "state")).toBe("unknown");
    });

    it("cancelling is tier 4: two approvers, then the job is gone", async () => {
      const id = jobNumber(await withReceipt(agent, "POST", SUBMIT, job({ gpus: "1" }, "doomed")));
      proxy.forget();
      const cancel = (): Promise<Answered> => agent.call("DELETE", `${API}/job/${id}`);
      const refused = await cancel();
      expect(refused.body).toMatchObject({ tier: 4, approval: { needed: 2, given: 0 } });
      const proposal = `/_gate/v1/approvals/${text(refused, "approval", "id")}`;
      expect((await agent.send({ method: "GET", path: proposal })).body).toMatchObject({
        affected: { count: 1, items: [`${id} doomed (${LAB_USER})`] },
        blast_radius: "job",
        reversible: false,
      });
      await approved(refused, ["alice"]);
      // The job has begun to run meanwhile, or not: it is the same job.
      expect((await cancel()).body).toMatchObject({ approval: { needed: 2, given: 1 } });
      expect(mutations()).toEqual([]);
      expect(await known(id)).not.toMatchObject({ JobState: "CANCELLED" });

      await approve(running.demo, text(refused, "approval", "id"), ["bob"]);
      expect(verdict(await cancel())).toBe("200");
      await vi.waitFor(async () => expect(await known(id)).toMatchObject({ JobState: "CANCELLED" }), LOOK_UP_WITHIN);
      expect(mutations().map(({ method, path }) => `${method} ${path}`)).toEqual([`DELETE ${API}/job/${id}`]);
    });

    it("cancelling what does not exist is failed, not unknown, although Slurm says 500", async () => {
      const path = `${API}/job/888888`;
      await approved(await agent.call("DELETE", path), ["alice", "bob"]);
      const answered = await agent.call("DELETE", path);
      expect(answered.status).toBe(500);
      await operationEnds(requestId(answered), "failed");
    });
  });

  describe("what slurmrestd takes in more than one way does not reach it", () => {
    it.each(TRICKS)("$name: $refused, zero upstream requests", async (trick) => {
      const request = requestOf(trick);
      const answered = await agent.send({ ...request, headers: { ...request.headers, "gate-reason": "a trick" } });
      expect(verdict(answered), answered.text).toBe(trick.refused);
      expect(proxy.requests()).toEqual([]);
    });

    it("the same request without a trick is known and sized", async () => {
      const answered = await agent.send({ ...plainRequest });
      expect(verdict(answered), answered.text).toMatch(/^428 (?:reason-required|dry-run-required)$/);
    });

    it("slurmrestd itself makes of each what the table says", async () => {
      const made: Record<string, string | null> = {};
      for (const trick of TRICKS) {
        const answered = await direct(requestOf(trick));
        const id = answered.status === 200 && answered.text.includes('"job_id"') ? jobId(answered) : "0";
        const found = id === "0" ? null : await known(id);
        made[trick.name] = found === null ? null : (/gpu:(\d+)$/.exec(gpusOf(found))?.[1] ?? "");
      }
      expect(made).toEqual(Object.fromEntries(TRICKS.map(({ name, upstream }) => [name, upstream])));
    });
  });

  describe("what is not seen is found out", () => {
    it("an answer lost after execution: 504, then succeeded, found by the job's comment, with one job", async () => {
      const before = await heldMicros();
      proxy.inject({ kind: "drop-answer", method: "POST" });
      const lost = await withReceipt(agent, "POST", SUBMIT, job({ gpus: 2 }));
      expect(verdict(lost), lost.text).toBe("504 outcome-unknown");
      expect(text(lost, "operation_url")).toBe(`/_gate/v1/operations/${requestId(lost)}`);
      const ended = await operationEnds(requestId(lost), "succeeded");
      expect(member(ended, "reservation", "state")).toBe("committed");
      expect((await heldMicros()) - before).toBe(ceilingOf(2));
      const comment = `portcullis:${requestId(lost)}`;
      expect((await lab.jobs()).filter((found) => found["Comment"] === comment)).toHaveLength(1);
      expect(mutations()).toHaveLength(1);
    });

    it("an answer lost after slurmctld refused: its record of the refusal is not taken for the job", async () => {
      const before = await heldMicros();
      proxy.inject({ kind: "drop-answer", method: "POST" });
      const lost = await withReceipt(agent, "POST", SUBMIT, job({ gpus: "a100:2" }));
      expect(verdict(lost), lost.text).toBe("504 outcome-unknown");
      const record = (await lab.jobs()).find((found) => found["Comment"] === `portcullis:${requestId(lost)}`);
      expect(record).toMatchObject({ JobState: "FAILED", Reason: "BadConstraints" });
      const ended = await operationEnds(requestId(lost), "failed");
      expect(member(ended, "reservation", "state")).toBe("released");
      expect(await heldMicros()).toBe(before);
    });

    it("an upstream token that slurmctld rejects proves nothing until two look-ups find no job", async () => {
      const before = await heldMicros();
      const bad = { kind: "replace-header", name: "x-slurm-user-token", value: "expired" } as const;
      proxy.inject({ ...bad, method: "GET" });
      const read = await agent.call("GET", `${API}/jobs`);
      expect(read.status).toBe(500);
      expect(list(read, "errors")).toHaveLength(1);

      proxy.inject({ ...bad, method: "POST" });
      const sent = await withReceipt(agent, "POST", SUBMIT, job({ gpus: 1 }));
      expect(verdict(sent), sent.text).toBe("504 outcome-unknown");
      const ended = await operationEnds(requestId(sent), "failed");
      expect(member(ended, "reservation", "state")).toBe("released");
      expect(await heldMicros()).toBe(before);
    });
  });

  describe("two sides, two credentials", () => {
    it("a client may bring its gate key where Slurm's clients bring a token", async () => {
      const key = running.demo.tenants.acme.agent;
      const headers = { "x-slurm-user-token": key };
      const answered = await sendVerbatim(running.gate, { method: "GET", path: `${API}/ping`, headers });
      expect(verdict(answered), answered.text).toBe("200");
      const [seen] = proxy.requests();
      expect(seen?.headers).toMatchObject({
        "x-slurm-user-name": LAB_USER,
        "x-slurm-user-token": lab.credential.token,
      });
      expect(JSON.stringify(seen)).not.toContain(key);
    });

    it("two credentials at once are refused, and a Slurm token is none of the gate's", async () => {
      const headers = { "x-slurm-user-token": lab.credential.token };
      const both = await agent.send({ method: "GET", path: `${API}/ping`, headers });
      expect(verdict(both)).toBe("400 malformed-request");
      const token = await sendVerbatim(running.gate, { method: "GET", path: `${API}/ping`, headers });
      expect(verdict(token)).toBe("401 unauthenticated");
      expect(proxy.requests()).toEqual([]);
    });

    it("upstream sees neither the client's credential nor any header of its own choosing", async () => {
      const body = job({ gpus: 1 });
      const plan = await agent.call("POST", SUBMIT, body, { "gate-dry-run": "?1" });
      jobNumber(
        await agent.call("POST", SUBMIT, body, { "gate-plan": text(plan, "receipt"), cookie: "a=b", "x-slurm-x": "1" }),
      );
      const [seen, second] = proxy.requests();
      expect(second).toBeUndefined();
      expect(seen?.headers).toMatchObject({
        "x-slurm-user-name": LAB_USER,
        "x-slurm-user-token": lab.credential.token,
      });
      for (const name of ["authorization", "cookie", "x-slurm-x", "gate-plan", "gate-reason"]) {
        expect(seen?.headers).not.toHaveProperty(name);
      }
      for (const key of Object.values(running.demo.tenants.acme)) expect(JSON.stringify(seen)).not.toContain(key);
    });

    it("no answer shows the upstream credential", async () => {
      const answered = await agent.call("GET", `${API}/diag`);
      expect(answered.text).not.toContain(lab.credential.token);
      expect(JSON.stringify([...answered.headers])).not.toContain(lab.credential.token);
    });
  });

  describe("refusals speak Slurm's errors[]", () => {
    it.each<[string, Verbatim["method"], string, object | undefined, string]>([
      ["a policy's limit", "POST", SUBMIT, job({ gpus: 33 }, "limit"), "constraint-exceeded"],
      ["an approval", "POST", SUBMIT, job({ gpus: 9 }, "approval"), "approval-required"],
      ["a dry run", "POST", SUBMIT, job({ gpus: 2 }, "plan"), "dry-run-required"],
      ["an operation that the catalogue does not list", "GET", "/slurm/v0.0.37/jobs", undefined, "unknown-operation"],
      [
        "a key that the catalogue does not list",
        "POST",
        SUBMIT,
        job({ gpus: 1, array: "1-3" }, "array"),
        "malformed-request",
      ],
    ])("%s", async (_name, method, path, body, slug) => {
      const refused = await agent.call(method, path, body);
      expect(refused.headers.get("content-type")).toBe("application/json");
      expect(member(refused, "slug")).toBe(slug);
      const [error, second] = list(refused, "errors");
      expect(error).toMatchObject({ error_number: -1, error_code: -1, source: "portcullis" });
      expect(text(refused, "errors", 0, "error")).toContain(requestId(refused));
      expect(text(refused, "errors", 0, "description")).toBe(text(refused, "detail"));
      expect(second).toBeUndefined();
      expect(proxy.requests()).toEqual([]);
    });
  });
});

const requestId = (answered: Answered): string => answered.headers.get("gate-request-id") ?? "";

/** A job's number in an answer. */
const jobId = (answered: Answered, ...path: readonly (string | number)[]): string =>
  JSON.stringify(member(answered, ...path, "job_id"));

/** The number of the job that was submitted; anything but a plain success fails the test. */
function jobNumber(answered: Answered): string {
  expect(verdict(answered), answered.text).toBe("200");
  return jobId(answered);
}

/** `gres:gpu:8` of a job, however it was asked for. */
const gpusOf = (job: LabJob): string => job["TresPerJob"] ?? job["TresPerNode"] ?? "";

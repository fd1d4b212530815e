import { expect, test } from "vitest";
import { list, verdict, type Answered } from "../support/answer.ts";
import {
  ACME_PEOPLE,
  ACME_POLICY,
  replaceOnce,
  useBlackBox,
  type BlackBox,
  type CastName,
} from "../support/black-box.ts";
import { CONTEXT, job, proposalOf, SUBMIT } from "../support/requests.ts";

/** Breaking the glass through the gate's own API: who holds the role reads what it is about, and stands in once. */
const open = useBlackBox("break-glass");

const DOCUMENTS = {
  policy: replaceOnce(
    ACME_POLICY,
    "timeout_minutes: 30",
    "timeout_minutes: 30\n  break_glass: { role: on-call, max_usd: 100 }",
  ),
  people: replaceOnce(ACME_PEOPLE, "subject: person:carol\n", "subject: person:carol\n    roles: [on-call]\n"),
};

const PATH = "/_gate/v1/approvals";
const seen = async (box: BlackBox, who: CastName, approval: string): Promise<readonly [string, number]> => {
  const person = await box.as(who);
  return [verdict(await person.get(`${PATH}/${approval}`)), list(await person.get(PATH), "records").length];
};
const breakGlass = async (box: BlackBox, who: CastName, approval: string): Promise<Answered> =>
  (await box.as(who)).post(`${PATH}/${approval}/decisions`, {
    decision: "break-glass",
    comment: "nobody answers",
    confirm: "workloads.submit",
  });

test("whoever holds the role sees the proposal, stands in for its approvers, and the request runs once", async () => {
  const box = await open(DOCUMENTS);
  const agent = await box.as("agent");
  const approval = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  expect(await seen(box, "carol", approval)).toEqual(["200", 1]);
  expect((await breakGlass(box, "carol", approval)).body).toMatchObject({ state: "approved", given: 0 });
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 8 })))).toBe("201");
  expect(await box.upstream.mutations()).toHaveLength(1);
});

test("without the role a person neither sees it nor breaks anything", async () => {
  const box = await open({ ...DOCUMENTS, people: ACME_PEOPLE });
  const approval = proposalOf(await (await box.as("agent")).post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  expect(await seen(box, "carol", approval)).toEqual(["404 not-found", 0]);
  expect(verdict(await breakGlass(box, "carol", approval))).toBe("403 not-eligible");
});

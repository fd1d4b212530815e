import type { Command } from "commander";
import { z } from "zod";
import { ok } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, type Session } from "./command.ts";
import { fields } from "./print.ts";
import { fromNow, shortTime } from "./times.ts";

const answerSchema = z.object({
  principal: z.string(),
  class: z.string(),
  owner: z.string(),
  tenant: z.string(),
  credential_id: z.string(),
  scopes: z.object({ actions: z.array(z.string()), max_tier: z.number() }),
  roles: z.array(z.string()),
  demo: z.boolean(),
  expires_at: z.string(),
  policy: z.object({ version: z.number(), catalogue: z.string() }),
});

/** `whoami`: what the gate takes this key for. */
export function addWhoamiCommand(program: Command, session: Session): void {
  addCommand(program, session, {
    usage: "whoami",
    summary: "show whom the key stands for, and what it may do",
    schema: z.object({}),
    run: async (invocation) => {
      const client = openClient(invocation);
      if (!client.ok) return client;
      const answer = await client.value.call({ method: "GET", path: "/_gate/v1/whoami" });
      if (!answer.ok) return answer;
      const view = readAs(answerSchema, answer.value);
      if (!view.ok) return view;
      const me = view.value;
      const { actions, max_tier: maxTier } = me.scopes;
      const rows = fields([
        ["principal", `${me.principal} (${me.class}${me.demo ? ", demonstration key" : ""})`],
        ["owner", me.owner === me.principal ? null : me.owner],
        ["tenant", me.tenant],
        ["key", me.credential_id],
        ["scopes", actions.length === 0 ? "none on the data plane" : `${actions.join(", ")} up to tier ${maxTier}`],
        ["roles", me.roles.length === 0 ? "none" : me.roles.join(", ")],
        ["expires", `${shortTime(me.expires_at)} (${fromNow(me.expires_at, invocation.terminal.now())})`],
        ["policy", `version ${me.policy.version}, catalogue ${me.policy.catalogue}`],
      ]);
      return ok({ json: answer.value, human: [rows] });
    },
  });
}

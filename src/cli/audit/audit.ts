import type { Command } from "commander";
import { auditExport } from "./audit-export.ts";
import { auditList } from "./audit-list.ts";
import { auditShow } from "./audit-show.ts";
import { auditTail } from "./audit-tail.ts";
import { auditVerify } from "./audit-verify.ts";
import { addCommand, type Session } from "../command.ts";

/** `audit`: who asked what, what the gate answered and what came of it; files of it, and whether such a file is whole. */
export function addAuditCommands(program: Command, session: Session): void {
  const group = program.command("audit").description("what happened, and who decided");
  addCommand(group, session, auditList);
  addCommand(group, session, auditShow);
  addCommand(group, session, auditTail);
  addCommand(group, session, auditExport);
  addCommand(group, session, auditVerify);
}

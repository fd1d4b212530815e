import { LEDGER_LOG } from "./tree-port.ts";

/** What can be asked of one log's copies. Its object implements it. */
export interface AuditCopyPort {
  /**
   * Says that the log is to be copied to the tenant's audit webhook from its next record on, or not any more. Said again it
   * changes nothing.
   */
  switchWebhookCopy(isOn: boolean): Promise<void>;
}

/** The copies of one of the tenant's logs, one of `AUDIT_LOGS`. */
export function auditCopyOf(
  { LEDGER, REQUEST_LOG }: { readonly LEDGER: DurableObjectNamespace; readonly REQUEST_LOG: DurableObjectNamespace },
  tenant: string,
  log: string,
): AuditCopyPort {
  const stub = log === LEDGER_LOG ? LEDGER.getByName(tenant) : REQUEST_LOG.getByName(`${tenant}/${log}`);
  // The one place where these untyped RPC stubs get their type: both objects implement this port.
  return stub as unknown as AuditCopyPort;
}

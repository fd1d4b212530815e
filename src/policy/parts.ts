import type { Environments } from "./environments.ts";
import type { Guard } from "./guards.ts";
import type { MaintenanceWindow } from "./maintenance-windows.ts";
import type { Rule } from "./rules.ts";
import type { WrittenCap } from "./scope-caps.ts";

/** What a policy says, read and checked: what two policies are compared by. */
export type PolicyParts = {
  /** In order of tier and then of writing, those in shadow among them. */
  readonly rules: readonly Rule[];
  /** Prohibited action → its rule. */
  readonly prohibited: ReadonlyMap<string, string>;
  readonly guards: readonly Guard[];
  readonly environments: Environments;
  readonly windows: ReadonlyMap<string, MaintenanceWindow>;
  /** Member → team. */
  readonly teams: ReadonlyMap<string, string>;
  /** Caps inside the tenant's, `each` among them. */
  readonly caps: readonly WrittenCap[];
};

/** The smallest catalogue with one read and one priced write; the arguments replace or add parts of it. */
export function smallCatalogue(
  parts: { readonly routes?: string; readonly submit?: string; readonly actions?: string; readonly top?: string } = {},
): string {
  return `catalogue: small
version: "1"
title: Small
control_plane: small
error_dialect: problem
credential_carriers:
  - { header: authorization, prefix: "Bearer " }
upstream_auth: { kind: bearer }
headers: { pass: [accept], return: [content-type], refuse: [] }
dry_run: none
reference: none
tables:
  gpus: { big: 8, small: 1 }
${parts.top ?? ""}
actions:
  jobs.list: { title: List jobs, floor: 0 }
  jobs.submit:
    title: Submit a job
    floor: [{ tier: 2, when: { max_gpus: 4 } }, { tier: 3 }]
    facts: { gpus: number }
${parts.actions ?? ""}
routes:
  - { id: list, action: jobs.list, method: GET, path: /jobs }
  - id: submit
    action: jobs.submit
    method: POST
    path: /jobs
${parts.submit ?? SUBMIT}
${parts.routes ?? ""}
`;
}

const SUBMIT = `    body: { type: object, keys: { gpus: { type: integer, min: 1, max: 64 } } }
    facts: { gpus: { body: /gpus } }
    cost: none
    outcome: { success: [200], definite_failures: [400], look_up: none }`;

/** The submit route with other facts, over an open body, for expression tests. */
export const submitWith = (gpus: string, keys = "{ x: { type: opaque, max_members: 100, optional: true } }"): string =>
  `    body: { type: object, keys: ${keys} }
    facts: { gpus: ${gpus} }
    cost: none
    outcome: { success: [200], definite_failures: [400], look_up: none }`;

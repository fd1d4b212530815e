import { LAB_USER } from "../slurm-lab.ts";
import { API, SUBMIT, jobBody } from "./jobs.ts";
import type { Verbatim } from "./verbatim.ts";

/** A submission that says one thing to a careful reader and another to slurmrestd, or more than one would think. */
export type Trick = {
  readonly name: string;
  readonly path?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Status and slug of the gate's refusal. */
  readonly refused: string;
  /** GPUs of the job that slurmrestd 22.05 makes of it, empty for a job without; null where it makes none. */
  readonly upstream: string | null;
};

const PLAIN = JSON.stringify(jobBody("trick", { gpus: "1" }));
const EIGHT = JSON.stringify(jobBody("trick", { gpus: "8" }).job);
const YAML = `script: "#!/bin/sh\\nsleep 300\\n"
job:
  name: trick
  gpus: "8"
  time_limit: 12
  environment: { PATH: /usr/bin:/bin }
  current_working_directory: /tmp
`;
const MALFORMED = "400 malformed-request";
const CLOSED = "403 unknown-operation";

/** The plain submission with a part of its text replaced. */
function replaced(from: string, to: string): string {
  const body = PLAIN.replace(from, to);
  if (body === PLAIN) throw new Error(`nothing to replace: ${from}`);
  return body;
}
/** The plain submission, asking for its GPU in other words. */
const asking = (words: string): string => replaced('"gpus":"1"', words);

export const TRICKS: readonly Trick[] = [
  { name: "gpus and GPUS", body: asking('"gpus":"1","GPUS":"8"'), refused: MALFORMED, upstream: "8" },
  { name: "gpus twice", body: asking('"gpus":"1","gpus":"8"'), refused: MALFORMED, upstream: "8" },
  { name: "GPUS alone", body: asking('"GPUS":"8"'), refused: MALFORMED, upstream: "8" },
  { name: "job twice", body: `${PLAIN.slice(0, -1)},"job":${EIGHT}}`, refused: MALFORMED, upstream: "8" },
  { name: "test_only", body: asking('"gpus":"1","test_only":true'), refused: MALFORMED, upstream: "1" },
  { name: "test_only as a query", path: `${SUBMIT}?test_only=true`, refused: MALFORMED, upstream: "1" },
  { name: "an array", body: asking('"gpus":"1","array":"1-3"'), refused: MALFORMED, upstream: "1" },
  { name: "gres", body: asking('"gres":"gpu:8"'), refused: MALFORMED, upstream: "8" },
  { name: "nodes as a list", body: asking('"gpus_per_node":"8","nodes":[1,2]'), refused: MALFORMED, upstream: "8" },
  { name: "2k GPUs", body: asking('"gpus":"2k"'), refused: MALFORMED, upstream: null },
  { name: "no size at all", body: replaced(',"gpus":"1"', ""), refused: "403 unsized", upstream: "" },
  { name: "a forged comment", body: asking('"gpus":"1","comment":"portcullis:x"'), refused: MALFORMED, upstream: "1" },
  {
    name: "a YAML body",
    headers: { "content-type": "application/x-yaml" },
    body: YAML,
    refused: "415 unsupported-media-type",
    upstream: "8",
  },
  { name: "slashes doubled", path: "//slurm//v0.0.38//job//submit", refused: MALFORMED, upstream: "1" },
  { name: "a trailing slash", path: `${SUBMIT}/`, refused: MALFORMED, upstream: "1" },
  { name: "an encoded letter", path: `${API}/job/%73ubmit`, refused: MALFORMED, upstream: "1" },
  { name: "an encoded slash", path: `${SUBMIT}%2f`, refused: MALFORMED, upstream: null },
  { name: "v0.0.37", path: "/slurm/v0.0.37/job/submit", refused: CLOSED, upstream: "1" },
  { name: "v0.0.36", path: "/slurm/v0.0.36/job/submit", refused: CLOSED, upstream: "1" },
  { name: "another user's name", headers: { "x-slurm-user-name": "root" }, refused: MALFORMED, upstream: null },
  { name: "the user's own name", headers: { "x-slurm-user-name": LAB_USER }, refused: MALFORMED, upstream: "1" },
];

/** The trick as it goes over the wire. */
export const requestOf = ({ path = SUBMIT, body = PLAIN, headers = {} }: Partial<Trick>): Verbatim => ({
  method: "POST",
  path,
  body,
  headers: { "content-type": "application/json", ...headers },
});

/** The submission that every trick starts from. */
export const plainRequest: Verbatim = requestOf({});

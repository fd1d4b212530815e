/** What a handler answers: a status, a JSON body or streamed lines, and extra headers. */
export type Answer = {
  readonly status: number;
  readonly body: unknown;
  /** Text lines to stream instead of `body`. */
  readonly lines?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
};

/** A successful answer. */
export const answer = (body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  body,
  headers,
});

/** A refusal in this control plane's dialect: `{error: {code, message}}`. */
export const refusal = (status: number, code: string, message: string): Answer => ({
  status,
  body: { error: { code, message } },
});

/** The answer for what does not exist, and for what belongs to another tenant: the two cannot be told apart. */
export const notFound = (id: string): Answer => refusal(404, "not_found", `${id} does not exist`);

/** Whether a handler's result is already an answer (a refusal) rather than a value. */
export const isAnswer = (value: object): value is Answer => "status" in value && "body" in value;

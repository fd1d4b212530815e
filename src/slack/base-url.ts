import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";

/** Where Slack's Web API lives; ends in a slash. */
const SLACK_API = "https://slack.com/api/";

/**
 * The base address for the client: Slack's own, or another one (a stand-in) where the deployment is not live. The token goes
 * there, so a live gate accepts no other address, and no address with credentials, query or fragment is accepted at all.
 */
export function slackBaseUrl(override: string | undefined, environment: string): Result<string, string> {
  if (override === undefined) return ok(SLACK_API);
  if (environment === "live") return err("a live gate talks to slack.com only");
  if (!URL.canParse(override)) return err("is not an absolute URL");
  const { protocol, username, password, search, hash, href } = new URL(override);
  if (protocol !== "http:" && protocol !== "https:") return err("must be http or https");
  if (username !== "" || password !== "" || search !== "" || hash !== "") return err("must be an origin and a path");
  return ok(href.endsWith("/") ? href : `${href}/`);
}

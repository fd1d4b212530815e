import type { UpstreamCall } from "../catalogue/types.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import type { Digest } from "../vocabulary.ts";

/**
 * The key by which a re-sent request finds its receipt, its grant or its stored outcome: tenant, principal, action and the
 * rebuilt request exactly as it would be sent. Who else asks, or anything else asked, is another digest.
 */
export function requestDigest(tenant: string, subject: string, action: string, call: UpstreamCall): Digest {
  return digestOf(
    "portcullis/request/v1",
    canonicalJson({
      tenant,
      principal: subject,
      action,
      method: call.method,
      path: call.path,
      query: call.query.map(([name, value]) => [name, value]),
      headers: { ...call.headers },
      content_type: call.contentType,
      // Already RFC 8785 text: hashed as text, not parsed and serialised a second time.
      body: call.body,
    }),
  );
}

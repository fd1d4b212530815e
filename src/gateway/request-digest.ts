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
      // In the order of RFC 8785, which saves sorting.
      action,
      // Already RFC 8785 text: hashed as text, not parsed and serialised a second time.
      body: call.body,
      content_type: call.contentType,
      headers: { ...call.headers },
      method: call.method,
      path: call.path,
      principal: subject,
      query: call.query.map(([name, value]) => [name, value]),
      tenant,
    }),
  );
}

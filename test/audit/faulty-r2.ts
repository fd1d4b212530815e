/**
 * What goes wrong with one call. `refused`: nothing happens, and it throws. `answer-lost`: it happens, and it throws. `hangs`:
 * nothing happens, and no answer ever comes; `no-answer`: it happens, and none comes.
 */
export type BucketFault = "none" | "refused" | "answer-lost" | "hangs" | "no-answer";

/**
 * The real bucket with a fault in front of what writes and what looks; `next` is asked at each call. The bucket that it wraps is
 * the real one, so what was stored is what is there.
 */
export function faultyBucket(bucket: R2Bucket, next: (method: "put" | "head") => BucketFault): R2Bucket {
  return new Proxy(bucket, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      if (name !== "put" && name !== "head") return member.bind(target);
      return async (...given: unknown[]) => {
        const fault = next(name);
        if (fault === "hangs") return new Promise(() => undefined);
        if (fault === "refused") throw new Error("put: Internal Error (10001)");
        const answer: unknown = await Reflect.apply(member, target, given);
        if (fault === "no-answer") return new Promise(() => undefined);
        if (fault === "answer-lost") throw new Error("put: Internal Error (10001)");
        return answer;
      };
    },
  });
}

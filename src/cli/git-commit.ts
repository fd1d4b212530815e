import { execFile } from "node:child_process";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Git answers in milliseconds; a repository on a dead network mount never does. */
const GIT_WAIT_MS = 5_000;

export type FoundCommit =
  | { readonly kind: "found"; readonly commit: string }
  /** No repository, no git, or a file of which HEAD has another text or none. */
  | { readonly kind: "none"; readonly why: string };

/**
 * The commit that holds exactly these files (absolute paths) as they are on disk. HEAD of a folder in which they have been
 * edited would name a text that nobody pushed, so it does not count.
 */
export async function commitOf(files: readonly string[]): Promise<FoundCommit> {
  let found: string | null = null;
  for (const file of files) {
    const name = basename(file);
    const commit = await git(dirname(file), "rev-parse", "--verify", "--quiet", "HEAD");
    if (commit === null) return { kind: "none", why: `${name} is in no git repository with a commit` };
    const committed = await git(dirname(file), "rev-parse", "--verify", "--quiet", `HEAD:./${name}`);
    const actual = await git(dirname(file), "hash-object", "--no-filters", "--", name);
    if (committed === null || committed !== actual)
      return { kind: "none", why: `${name} differs from what is committed` };
    if (found !== null && found !== commit) return { kind: "none", why: "the files are of different repositories" };
    found = commit;
  }
  return found === null ? { kind: "none", why: "there is no file" } : { kind: "found", commit: found };
}

async function git(folder: string, ...args: readonly string[]): Promise<string | null> {
  try {
    const { stdout } = await run("git", ["-C", folder, ...args], { timeout: GIT_WAIT_MS });
    return stdout.trim();
  } catch {
    return null;
  }
}

/**
 * Where a text holds something that looks like a secret, whoever issued it. Greedy on purpose: a redacted commit id costs a
 * look elsewhere, a leaked key costs an incident. Forms are public facts, as secret scanners list them; why no scanner is used
 * is in docs/decisions/secret-forms.md.
 *
 * Texts are an attacker's: every repetition that can fail is bounded or starts at the edge of its run, so that reading is
 * linear in the text.
 */

/** Unmistakable by themselves, wherever they stand. Case matters: `HF_HOME` is a name, `hf_…` a token. */
const UNMISTAKABLE: readonly string[] = [
  // PEM, OpenSSH, PGP and SSH2 private keys; to the end of the text where the last line is missing.
  String.raw`-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,16}-{4,5}[\s\S]*?(?:-{4,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,16}-{4,5}|$)`,
  String.raw`pcl_(?:live|test|local)_[\w-]{20,}`,
  // JWS and JWE in compact form, with a detached payload or without a signature too.
  String.raw`(?<![\w-])eyJ[\w-]{8,}(?:\.[\w-]*){1,4}`,
  // AWS, Google
  String.raw`(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}`,
  String.raw`AIza[\w-]{30,}|GOCSPX-[\w-]{20,}|(?<!\w)ya29\.[\w.-]{20,}`,
  // GitHub, GitLab
  String.raw`gh[pousr]_[A-Za-z0-9_]{16,}|github_pat_[A-Za-z0-9_]{16,}`,
  String.raw`gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct|oas|wt)-[\w.-]{16,}|GR1348941[\w-]{20,}`,
  // Slack, Stripe
  String.raw`xox[a-z](?:\.xox[a-z])?-[\w-]{10,}|xapp-[\w-]{10,}`,
  String.raw`(?<![A-Za-z0-9])(?:[prs]k_(?:live|test|prod)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,})`,
  // SendGrid, HashiCorp Vault
  String.raw`SG\.[\w-]{16,}\.[\w-]{16,}|(?<!\w)hv[sbr]\.[\w-]{16,}`,
  // OpenAI, Anthropic
  String.raw`(?<![A-Za-z0-9])sk-(?:(?:proj|svcacct|admin|ant)-[\w-]{16,}|[A-Za-z0-9]{32,})`,
  // Hugging Face, npm, Groq, Replicate, RunPod, Notion, Supabase, Grafana, W&B, Together, Linear, DigitalOcean, Docker, Shopify, Sentry
  String.raw`(?<![A-Za-z0-9])(?:hf|npm|gsk|r8|rpa|ntn|sbp|glsa|glc|wandb_v1|tgp_v1|lin_api|api_org|do[opr]_v1|dckr_[op]at|shp(?:at|ca|pa|ss)|sntry[su])_[A-Za-z0-9]{16,}`,
];

/** Hidden all the same, but a name might look so. The digits tell some from words that begin alike. */
const LIKELY: readonly string[] = [
  // AWS keys of old, Google refresh tokens, Microsoft Entra client secrets, Discord
  String.raw`(?<![A-Za-z0-9])A3T[A-Z0-9]{17}|(?<![\w/])1//0[\w-]{20,}|[\w~.]{3}[0-9]Q~[\w~.-]{20,}`,
  String.raw`(?<![\w-])[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}`,
  // OpenAI and Stripe of old and of others
  String.raw`(?<![A-Za-z0-9])[prs]k[-_](?=[\w-]{0,64}[0-9])[\w-]{16,}`,
  // PyPI, NVIDIA, xAI, Perplexity, Tailscale, Pulumi, Postman, New Relic, Doppler
  String.raw`(?<![A-Za-z0-9])(?:pypi|nvapi|xai|pplx|tskey|pul|PMAK|NRAK|dp\.[a-z]{2})[.-](?=[\w-]{0,64}[0-9])[\w-]{16,}`,
];

/** Names that announce a secret, whatever stands in front of them. */
const NAMES =
  "pass(?:word|wd|phrase|code)|secret|token|credential|connection[-_ ]?string|session[-_]?id|authorization|bearer|(?<![a-z])(?:pwd|sig|dsn|jwt)" +
  "|(?:api|access|private|account|signing|encryption|master|client|session|auth|shared[-_ ]?access)[-_ ]?key";
const NAME = `(?:${NAMES})(?:[_-]?(?:access|secret|token|key|value)){0,3}`;
/** Around a name in JSON, also in JSON that is quoted once more. */
const QUOTE = String.raw`(?:\\{0,4}["'\x60])?`;
/** A value behind its opening quote, if it has one: to its closing quote, else to where words end. */
const VALUE = (least: number): string =>
  String.raw`(?<=\\")[^"\\\n]*|(?<=")(?:[^"\\\n]|\\[^\n])*|(?<=')[^'\n]*|[^\s"'\x60,;]{${least},}`;
/** The same in `Server=…;Password=a b;Encrypt=yes`. */
const LISTED = String.raw`[^\s;"'=][^;"'\n=]{0,128}(?=;\s{0,4}(?:[a-z ]{1,32}=|$))`;
const SCHEME = String.raw`(?:(?:bearer|basic|digest|token)\s{1,8})?`;

/** A secret by where it stands: what is in front of it stays readable. Two groups each: the lead, and what is hidden. */
const NAMED: readonly string[] = [
  // Header lines, to their end: a cookie has blanks and semicolons.
  String.raw`((?<![a-z])(?:proxy-)?authorization${QUOTE}\s{0,8}[:=]\s{0,8}${QUOTE}${SCHEME}|(?<![a-z])cookie\s{0,8}:\s{0,8})([^\r\n"']+)`,
  // `access_token=…`, `"secretAccessKey": "…"`, `password => '…'`
  String.raw`(${NAME}${QUOTE}\s{0,8}[:=]{1,2}>?\s{0,8}${QUOTE}${SCHEME})(${LISTED}|${VALUE(3)})`,
  // `--db-password …`
  String.raw`((?<![A-Za-z0-9-])--?[a-z0-9-]{0,32}(?:${NAMES})[a-z0-9-]{0,16}[ \t]{1,8}["']?)(${VALUE(1)})`,
  // `the password is …`, where what follows is no plain word
  String.raw`((?:${NAMES})\s{1,8}(?:is|was)\s{1,8}${QUOTE})((?=[^\s"',;]{0,64}[0-9!#$%^&*])[^\s"',;]{4,})`,
  // `bearer …`, `password …`; `token …` where no plain word follows
  String.raw`((?<![A-Za-z0-9])(?:pass(?:word|wd|phrase|code)|bearer)["']?\s{1,8}["']?)([^\s"',;]{6,})`,
  String.raw`((?<![A-Za-z0-9])${NAME}["']?\s{1,8}["']?)(?![a-z]+(?:[^a-z0-9]|$))([^\s"',;]{6,})`,
];
const AT_A_HOST: readonly string[] = [
  // `postgres://name:…@host`, to the last `@`; what is a port number and a path begins no password
  String.raw`(\b[a-z][a-z0-9+.-]{0,31}://[^\s/@:"'<>[]{0,256}:)((?![0-9]{1,5}[/?#])[^\s"'<>]{1,512}(?=@)|[^\s/"'<>]{1,512}(?=@))`,
  // `https://…@host`: a token in place of a name
  String.raw`(\b[a-z][a-z0-9+.-]{0,31}://)([\w.~%+-]{20,512}(?=@))`,
  // `name:…@tcp(host:3306)/database`
  String.raw`((?<![\w.-])[\w.-]{1,64}:)([^\s@"']{1,128}(?=@(?:tcp|udp|unix)?\())`,
];
/** Addresses that are their own password. */
const ADDRESSES: readonly string[] = [String.raw`(hooks\.slack\.com/(?:services|workflows|triggers)/)([\w/-]{16,})`];
const OTHERWISE: readonly string[] = [
  // `curl -u name:…`
  String.raw`((?<![^\s"'])(?:-u|--user|--proxy-user)[\s=]{1,8}["']?[^\s:"']{1,128}:)([^\s"']+)`,
  // Terraform Cloud: what stands in front is the token's id
  String.raw`(\.atlasv1\.)([\w-]{30,})`,
];

/** A long run of letters and digits; whole runs only, so each is looked at once. */
const RUN = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{32,}={0,2}/g;
/** A part of a name or a file's path: a word, perhaps with a number (`resnet50`, `70b`), or a number. Keys have longer ones. */
const WORD = /^(?:[0-9]{0,4}[A-Za-z]?[a-z]{0,19}[0-9]{0,6}|[A-Z]{1,20}[0-9]{0,4}|[0-9]{1,20})$/;
/** Our own ids, and the UUIDs by which control planes name things. */
const ID = /^(?:apr|req|rcp|grt|key|bud|lku|sts)_[0-9a-z]{26}$|^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Digests that say so: `sha256:…`, `sha512-…`. Bare hexadecimal is what keys look like too. */
const DIGEST_LEAD = /sha(?:1|256|384|512)[:=]$/i;
const DIGEST = /^(?:sha(?:256|384|512)-[A-Za-z0-9+/]{43,86}={0,2}|[0-9a-f]{40,128})$/i;

// One by one: the engine finds a literal beginning far faster than the place where one of forty alternatives may begin.
const UNMISTAKABLE_FORMS = UNMISTAKABLE.map((form) => new RegExp(form, "g"));
const ISSUED_FORMS = [...UNMISTAKABLE_FORMS, ...LIKELY.map((form) => new RegExp(form, "g"))];
const placed = (forms: readonly string[]): readonly RegExp[] => forms.map((form) => new RegExp(form, "gi"));
const [NAMED_FORMS, HOST_FORMS] = [placed(NAMED), placed(AT_A_HOST)] as const;
const [ADDRESS_FORMS, OTHER_FORMS] = [placed(ADDRESSES), placed(OTHERWISE)] as const;
const ANY_NAME = new RegExp(`${NAMES}|cookie`, "i");
const BASIC = /\b(basic\s{1,8})([A-Za-z0-9+/_-]{4,}={0,2})/gi;

/** Shorter than any of them. */
const ISSUED_CHARS_MIN = 14;

/** The same text with every stretch that looks like a secret replaced by what `hide` makes of it. */
export function hideSecrets(text: string, hide: (secret: string) => string): string {
  if (ID.test(text)) return text;
  let shown = text;
  if (text.length >= ISSUED_CHARS_MIN) for (const form of ISSUED_FORMS) shown = shown.replace(form, hide);
  // What stands beside a secret is a blank or one of these; most parts of a path have none.
  if (/[\s:=@/]/.test(shown)) shown = hidePlaced(shown, (_all, lead: string, value: string) => lead + hide(value));
  return shown.replace(RUN, (run: string, at: number, whole: string) => (isHarmless(run, at, whole) ? run : hide(run)));
}

function hidePlaced(text: string, hide: (all: string, lead: string, value: string) => string): string {
  let shown = text.replace(BASIC, (all, lead: string, value: string) =>
    isBasic(value) ? hide(all, lead, value) : all,
  );
  const apply = (forms: readonly RegExp[]): void => {
    for (const form of forms) shown = shown.replace(form, hide);
  };
  if (ANY_NAME.test(shown)) apply(NAMED_FORMS);
  if (shown.includes("@")) apply(HOST_FORMS);
  apply(ADDRESS_FORMS);
  apply(OTHER_FORMS);
  return shown;
}

/**
 * Whether the text holds a secret that is unmistakable by itself, or by the host behind it: for names and addresses, which stand where they stand and cannot
 * be redacted, and which may be long and random without being secret.
 */
export const holdsSecret = (text: string): boolean =>
  text.length >= ISSUED_CHARS_MIN &&
  [...UNMISTAKABLE_FORMS, ...HOST_FORMS, ...ADDRESS_FORMS].some((form) => text.search(form) >= 0);

/** RFC 7617: `name:password` in base64. The training is no such thing. */
function isBasic(value: string): boolean {
  if (/^[A-Z]?[a-z]+$/.test(value)) return false;
  try {
    return /^[\x20-\x7e]*:[\x20-\x7e]*$/.test(atob(value.replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return false;
  }
}

function isHarmless(run: string, at: number, whole: string): boolean {
  if (!/[0-9]/.test(run) || !/[A-Za-z]/.test(run)) return true;
  if (DIGEST.test(run)) return run.startsWith("sha") || DIGEST_LEAD.test(whole.slice(Math.max(0, at - 7), at));
  return run.split("/").every((part) => ID.test(part) || part.split(/[-_+]/).every((word) => WORD.test(word)));
}

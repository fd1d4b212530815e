/**
 * Secrets that were never anybody's, one per place they are put into, each in a form that real ones have. Joined here, so that no
 * scanner takes this file for a leak.
 */

/** One planted secret. */
export type Canary = {
  /** Which form. */
  readonly form: string;
  /** Where it was put. */
  readonly place: string;
  /** What is sent. */
  readonly text: string;
  /** Parts of the secret that are nowhere else: its beginning and its end, so that half of it is noticed as well. */
  readonly needles: readonly string[];
};

type Form = (random: (characters: number, alphabet?: string) => string) => readonly [text: string, secret: string];

const DIGITS = "0123456789";
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const UPPER = LOWER.toUpperCase();
const HEX = `${DIGITS}abcdef`;
const ALL = DIGITS + LOWER + UPPER;
const [BEGIN, END] = ["BEGIN", "END"].map((word) => `-----${word} ${"PRIVATE".toUpperCase()} KEY-----`);

const whole = (prefix: string, characters: number, alphabet = ALL): Form => {
  return (random) => {
    const secret = random(characters, alphabet);
    return [prefix + secret, secret];
  };
};
const within = (template: string, characters: number, alphabet = ALL): Form => {
  return (random) => {
    const secret = random(characters, alphabet);
    return [template.replace("*", () => secret), secret];
  };
};

/** Every known form. Those in lower case and without blanks fit where a name or an image is asked for. */
const FORMS: Readonly<Record<string, Form>> = {
  "API key of a gate": whole("pcl_live_", 60),
  JWT: within(["eyJ", "hbGciOiJFZERTQSJ9.eyJ*.c2lnbmF0dXJl"].join(""), 40),
  "AWS access key id": whole("AKIA", 16, `${UPPER}234567`),
  "AWS secret key": whole("", 40),
  "Google API key": whole("AIza", 35),
  "Google client secret": whole("GOCSPX-", 28),
  "Azure client secret": whole("aB38Q~", 31),
  "Azure storage key": within("AccountName=store;AccountKey=*==;EndpointSuffix=core", 30),
  GitHub: whole("ghp_", 36),
  "GitHub, fine-grained": whole("github_pat_", 40),
  GitLab: whole("glpat-", 20),
  "GitLab in lower case": whole("glpat-", 20, DIGITS + LOWER),
  Slack: whole("xoxb-", 24),
  "Slack webhook": within("https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/*", 24),
  Stripe: whole("sk_live_", 24),
  OpenAI: whole("sk-", 40),
  "OpenAI in lower case": whole("sk-", 24, HEX),
  Anthropic: whole("sk-ant-api03-", 40),
  "Hugging Face": whole("hf_", 34),
  "Hugging Face in lower case": whole("hf_", 34, DIGITS + LOWER),
  npm: whole("npm_", 36),
  "private key": within(`${BEGIN} * ${END}`, 48),
  "URL with a password": within("postgres://app:*@db.example/books", 12),
  "basic authentication": within("Authorization: Basic Ym9iOm*=", 24),
  bearer: within("Bearer *", 20),
  password: within("password=*", 12),
  cookie: within("Cookie: theme=dark; sid=*", 16),
  "256 bits": whole("", 64, HEX),
};

/** Forms that are no name: a long random run may be one, of a resource or of a subject, and stands where names stand. */
export const UNMISTAKABLE = /^(?:pcl_|eyJ|AKIA|AIza|GOCSPX|gh|glpat|xoxb|https|sk_live|sk-ant|hf_|npm_|postgres)/;

/** Shorter parts could stand somewhere by chance. */
const NEEDLE_CHARS = 10;

export type Canaries = {
  /** One of each form that `fits`, as planted in this place. */
  readonly of: (place: string, fits?: RegExp) => readonly Canary[];
  /** Texts of at most `characters` that together hold one of each form. */
  readonly texts: (place: string, characters: number) => readonly string[];
  /** All that were made so far. */
  readonly all: () => readonly Canary[];
};

const random = (characters: number, alphabet = ALL): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(characters)), (byte) => alphabet[byte % alphabet.length]).join("");

/** Canaries of one run: random, so that nothing else has them. */
export function plantCanaries(): Canaries {
  const made: Canary[] = [];
  const of: Canaries["of"] = (place, fits = /^/) =>
    Object.entries(FORMS).flatMap(([form, make]) => {
      const [text, secret] = make((characters, alphabet) => withDigit(random(characters, alphabet)));
      if (!fits.test(text)) return [];
      const canary = { form, place, text, needles: [secret.slice(0, NEEDLE_CHARS), secret.slice(-NEEDLE_CHARS)] };
      made.push(canary);
      return [canary];
    });
  return {
    of,
    texts: (place, characters) => {
      const texts: string[] = [""];
      for (const { text } of of(place)) {
        const last = texts.length - 1;
        const longer = `${texts[last]}${texts[last] === "" ? "" : " and "}${text}`;
        if (longer.length <= characters) texts[last] = longer;
        else texts.push(text);
      }
      return texts;
    },
    all: () => made,
  };
}

/** A key of twenty characters without a digit is a rarity that no form is recognised by. */
const withDigit = (secret: string): string =>
  /[2-7]/.test(secret) ? secret : `${secret.slice(0, 4)}7${secret.slice(5)}`;

/** Which canaries stand in a text. */
export const foundIn = (text: string, canaries: readonly Canary[]): readonly Canary[] =>
  canaries.filter(({ needles }) => needles.some((needle) => text.includes(needle)));

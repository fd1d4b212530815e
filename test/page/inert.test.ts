import { describe, expect, test } from "vitest";
import { document, viewerOf } from "../../src/page/document.ts";
import { listBody } from "../../src/page/list-page.ts";
import { linkBody, refusalBody, signedOutBody, waysInBody } from "../../src/page/notice-pages.ts";
import { proposalBody } from "../../src/page/proposal-page.ts";
import { readSecretKey } from "../../src/identity/secret-key.ts";
import { shown, shownJson, shownLines } from "../../src/page/text.ts";
import { MAY_DECIDE, NOW, pageWith, viewWith } from "./proposals.ts";

/** Breaks out of each place that text can stand in: elements, attributes, comments, raw text, addresses, templates. */
const POLYGLOTS: readonly string[] = [
  "<script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "'><svg/onload=alert(1)>",
  "</pre></section><form action=//evil.example><button>Approve</button></form>",
  "</textarea><script>alert(1)</script>",
  "</title><script>alert(1)</script>",
  "</style><style>*{display:none}</style>",
  "<!--><script>alert(1)</script>-->",
  "]]><script>alert(1)</script>",
  "javascript:/*--></title></style></textarea></script></xmp><svg/onload='+/\"/+/onmouseover=1/+/[*/[]/+alert(1)//'>",
  '" autofocus onfocus=alert(1) x="',
  "` autofocus onfocus=alert(1) x=`",
  "${alert(1)} {{constructor.constructor('alert(1)')()}} <%= 1 %>",
  "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62; &amp;lt;",
  "<a href=javascript:alert(1)>x</a> <iframe srcdoc='<script>alert(1)</script>'>",
  "<base href=//evil.example><meta http-equiv=refresh content='0;url=//evil.example'>",
  "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
  "\u003cscript\u003e \x3cscript\x3e %3Cscript%3E +ADw-script+AD4-",
  "<\u0000script>alert(1)</script>",
  "a\u202egnp.exe\u202c b\u2066c\u2069 d\u200be\u200df\u2060g\ufeffh\u00adi",
  "\u001b[2J\u001b]0;x\u0007 bell \u0008\u0008\u0008 \u009b31m",
  "line\u2028separator\u2029paragraph\u0085next",
  `z${"\u0301".repeat(9)}algo`,
  "\u{e0041}\u{e007f} tags, \ud800 half",
  "\u3164 filler, \ufe0f selector, \ue000 private",
];

const render = async (body: Parameters<typeof document>[0]["body"]): Promise<string> => String(await body);
const tagsOf = (page: string): readonly string[] => page.match(/<[^>]*>/g) ?? [];

/** What a browser acts on although it looks like nothing. */
const UNSHOWABLE = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|\p{M}{5}/u;

const key = readSecretKey(
  "K",
  Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7 + 3)).toString("base64url"),
);

async function everyPage(text: string): Promise<string> {
  if (!key.ok) throw new Error(key.error);
  const visitor = {
    tenant: "acme",
    subject: text,
    sessionId: "ses_x",
    via: "oidc",
    authenticatedAt: null,
    demo: true,
    expiresAt: NOW,
  } as const;
  const listed = [
    { view: viewWith(text), lasting: pageWith(text).lasting, standing: MAY_DECIDE },
    { view: { ...viewWith(text), state: "denied" as const }, lasting: null, standing: MAY_DECIDE },
  ];
  const bodies = [
    proposalBody(pageWith(text)),
    listBody({ tenant: text, subject: text, known: false, listed, now: NOW }),
    refusalBody({ kind: "malformed-request", reason: text }, null),
    refusalBody({ kind: "unavailable", dependency: text, cause: text }, null),
    refusalBody({ kind: "already-decided", state: text, decided_by: [text] }, null),
  ];
  const pages = bodies.map((body) => document({ title: text, body, viewer: viewerOf(visitor, text, key.value) }));
  return (await Promise.all(pages.map(render))).join("\n");
}

describe("WEB-02: text of somebody else", () => {
  test.each(POLYGLOTS)("%j makes no tag, no attribute and no entity on any page", async (text) => {
    const [hostile, harmless] = [await everyPage(text), await everyPage("harmless")];
    expect(tagsOf(hostile)).toEqual(tagsOf(harmless));
    expect(UNSHOWABLE.exec(hostile)).toBeNull();
  });

  test.each(POLYGLOTS)("%j is shown as it is, its invisible characters as escapes", async (text) => {
    const page = await render(proposalBody(pageWith(text)));
    const escaped = shownLines(text)
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
      .replaceAll("'", "&#39;");
    expect(page).toContain(`>${escaped}</pre>`);
  });

  test("the pages before a sign-in take text only that has a grammar, and escape it all the same", async () => {
    const text = '"><script>alert(1)</script>';
    for (const body of [
      signedOutBody(text, text, true, true),
      waysInBody(text, text, true, true),
      linkBody(text, text, text),
    ]) {
      expect(await render(body)).not.toContain("<script");
    }
  });

  test("no length of it leaves its box: what is long can be scrolled, and what is blank is not much of it", async () => {
    const long = await render(proposalBody(pageWith(`first${"\n".repeat(500)}${"x".repeat(5_000)}`)));
    expect(long).toContain('<pre class="code" tabindex="0" role="region" aria-label="Evidence">first\n\nxxx');
    expect(long.match(/<pre(?! class="(?:code|prose)" tabindex="0")/g)).toBeNull();
  });
});

describe("text on the page", () => {
  test.each([
    ["a\tb\nc", "a\\tb\\nc"],
    ["a\u202eb", "a\\u{202e}b"],
    ["\u{1f600} é ü 漢字 עברית", "\u{1f600} é ü 漢字 עברית"],
    ["\ud800", "\\u{d800}"],
  ])("%j in one line is %j", (text, expected) => {
    expect(shown(text)).toBe(expected);
  });

  test("several lines keep their lines, and one blank one between them", () => {
    expect(shownLines("a  \r\n\n\n\n\tb\r")).toBe("a\n\n    b\\u{d}");
  });

  test("JSON is the same value for every parser", () => {
    const value = { "a\u202e": ["<b>\u2028", "\u{e0041}", "\u0007", 1.5, null, true], é: {} };
    const text = shownJson(value);
    expect(JSON.parse(text)).toEqual(value);
    expect(UNSHOWABLE.exec(text)).toBeNull();
  });
});

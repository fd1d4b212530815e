import type { Entrance } from "./black-box.ts";
import { readAnswered, type Answered } from "./answer.ts";

export const PAGE_ORIGIN = "https://gate.example";

/** How a request comes about, as a browser tells by `Sec-Fetch-Site`; null for a client that tells nothing. */
export type From = "same-origin" | "cross-site" | "same-site" | "none" | null;

/**
 * A browser without scripts, as far as the page depends on one: a cookie jar that keeps to `SameSite`, forms, and no redirect
 * followed unless asked. It belongs to one person.
 */
export type PageBrowser = {
  readonly get: (path: string, from?: From, headers?: Readonly<Record<string, string>>) => Promise<Answered>;
  readonly head: (path: string) => Promise<Answered>;
  /** Sends fields as a form does. */
  readonly post: (
    path: string,
    fields: Readonly<Record<string, string>> | string,
    from?: From,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Answered>;
  /** Cookies by name; changing it is what somebody with access to the browser does. */
  readonly jar: Map<string, Cookie>;
};

export type Cookie = { readonly value: string; readonly attributes: string };

/** Opens a browser at the gate behind this entrance. */
export function pageBrowser(entrance: Entrance): PageBrowser {
  const jar = new Map<string, Cookie>();
  const send = async (method: string, path: string, from: From, init: RequestInit): Promise<Answered> => {
    const headers = new Headers(init.headers);
    const cookies = [...jar]
      .filter(([, cookie]) => sent(cookie, from, method))
      .map(([name, { value }]) => `${name}=${value}`);
    if (cookies.length > 0) headers.set("cookie", cookies.join("; "));
    if (from !== null) headers.set("sec-fetch-site", from);
    const response = await entrance(
      new Request(`${PAGE_ORIGIN}${path}`, { ...init, method, headers, redirect: "manual" }),
    );
    for (const line of response.headers.getSetCookie()) keep(jar, line);
    return readAnswered(response);
  };
  return {
    jar,
    get: (path, from = "none", headers = {}) => send("GET", path, from, { headers }),
    head: (path) => send("HEAD", path, "none", {}),
    post: (path, fields, from = "same-origin", headers = {}) =>
      send("POST", path, from, {
        body: typeof fields === "string" ? fields : new URLSearchParams(fields).toString(),
        // Pages have `no-referrer`: that is what browsers send then.
        headers: { "content-type": "application/x-www-form-urlencoded", origin: "null", ...headers },
      }),
  };
}

/** RFC 6265bis, section 5.8.3: Strict with requests of the same site, Lax also with another site's links. */
function sent({ attributes }: Cookie, from: From, method: string): boolean {
  if (from !== "cross-site") return true;
  return attributes.includes("SameSite=Lax") && method === "GET";
}

function keep(jar: Map<string, Cookie>, line: string): void {
  const [pair = "", ...attributes] = line.split("; ");
  const equals = pair.indexOf("=");
  const name = pair.slice(0, equals);
  if (attributes.includes("Max-Age=0")) jar.delete(name);
  else jar.set(name, { value: pair.slice(equals + 1), attributes: attributes.join("; ") });
}

/** Values of a page's hidden fields, of its first form that has one of this name. */
export function hiddenFields(page: Answered, action: string): Record<string, string> {
  const form = page.text.split("<form").find((part) => part.includes(`action="${action}"`));
  if (form === undefined) throw new Error(`no form to ${action} in ${page.status} ${page.text}`);
  const [inside = ""] = form.split("</form>");
  const found = [...inside.matchAll(/<input type="hidden" name="([a-z]+)" value="([^"]*)"/g)];
  return Object.fromEntries(found.map(([, name = "", value = ""]) => [name, value]));
}

/** What a person reads: the main part without its tags, references resolved, white space as one space. */
export const readable = (page: Answered): string =>
  (/<main[^]*<\/main>/.exec(page.text)?.[0] ?? "")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&")
    .replaceAll(/\s+/g, " ")
    .trim();

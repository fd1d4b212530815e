import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";

/** Names of the executable, as distributions have it. */
const NAMES = ["chromium", "chromium-browser", "google-chrome"] as const;

/** Where Chromium is: `CHROMIUM`, or on PATH; null where it is not. */
export function chromiumPath(): string | null {
  const named = process.env["CHROMIUM"];
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const candidates = [...(named === undefined ? [] : [named]), ...folders.flatMap((f) => NAMES.map((n) => join(f, n)))];
  return candidates.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Starts it without a window, and without anything that it would do by itself on the network. */
export async function startChromium(): Promise<Browser> {
  const executablePath = chromiumPath();
  if (executablePath === null) throw new Error("chromium is not on PATH");
  return chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
  });
}

/** A page of a fresh profile, and what went wrong in it: console errors, failed requests, anything loaded besides the page. */
export type Watched = { readonly page: Page; readonly trouble: readonly string[] };

export async function watchedPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const trouble: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") trouble.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => trouble.push(`error: ${error.message}`));
  page.on("requestfailed", (request) => trouble.push(`failed: ${request.url()} ${request.failure()?.errorText ?? ""}`));
  page.on("request", (request) => {
    if (request.resourceType() !== "document") trouble.push(`loaded: ${request.url()}`);
  });
  return { page, trouble };
}

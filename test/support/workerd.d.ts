/** A file's text, read when the tests are bundled: the published documents, byte for byte. */
declare module "*.yaml?raw" {
  const text: string;
  export default text;
}

/** A document's text. */
declare module "*.md?raw" {
  const text: string;
  export default text;
}

declare namespace Cloudflare {
  /** What `exports` of cloudflare:workers leads to: the Worker under test. */
  interface GlobalProps {
    mainModule: typeof import("../../src/index.ts");
  }
}

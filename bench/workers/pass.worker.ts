/** What a path costs on this engine when nothing is decided: the same request, sent on. */
type PassEnv = { readonly UPSTREAM: string };

export default {
  fetch: (request, env) => {
    const { pathname, search } = new URL(request.url);
    return fetch(`${env.UPSTREAM}${pathname}${search}`, request);
  },
} satisfies ExportedHandler<PassEnv>;

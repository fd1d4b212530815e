import type { PageRoute } from "./call.ts";
import { decideRoutes } from "./decide.ts";
import { showRoutes } from "./show.ts";
import { signInRoutes } from "./sign-in/routes.ts";

/** Every page for people. A GET among them decides nothing; a test asks each of them with every method. */
export const PAGE_ROUTES: readonly PageRoute[] = [...showRoutes, ...decideRoutes, ...signInRoutes];

import { drizzle, type DrizzleD1Database } from "drizzle-orm/d1";

/** The drizzle client over one D1 binding. Cheap: holds no connection. */
export const openDatabase = (d1: D1Database): DrizzleD1Database => drizzle(d1);

type Reporters = { reporters: (string | [string, { outputFile: string }])[] };

/** The default reporter, and beside it a JSON report in the folder that REPORTS names, for the totals at the end of CI. */
export function reporters(suite: string): Reporters {
  const folder = process.env["REPORTS"];
  return folder === undefined
    ? { reporters: ["default"] }
    : { reporters: ["default", ["json", { outputFile: `${folder}/${suite}.json` }]] };
}

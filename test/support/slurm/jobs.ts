/** The routes that the catalogue lists, of the version that it lists. */
export const API = "/slurm/v0.0.38";
export const SUBMIT = `${API}/job/submit`;

export type JobBody = { readonly script: string; readonly job: object };

/** A submission that runs for five minutes and leaves nothing behind; `over` says its size and whatever else matters. */
export const jobBody = (name: string, over: object): JobBody => ({
  script: "#!/bin/sh\nsleep 300\n",
  job: {
    name,
    partition: "gpu",
    time_limit: 12,
    environment: { PATH: "/usr/bin:/bin" },
    current_working_directory: "/tmp",
    standard_output: "/dev/null",
    standard_error: "/dev/null",
    ...over,
  },
});

#!/usr/bin/env node
import { runProgram } from "./program.ts";
import { processTerminal } from "./terminal.ts";

/** `portcullis`: everything it does is in program.ts; here is only the process around it. */
process.exitCode = await runProgram(process.argv.slice(2), processTerminal());

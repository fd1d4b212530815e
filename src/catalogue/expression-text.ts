import type { JsonPath } from "../platform/json-pointer.ts";
import { compileExpression, typed } from "./expression.ts";
import type { Compile } from "./expression-sources.ts";
import type { Expression } from "./expression-schema.ts";
import { unsized, valueOf } from "./scope.ts";

/** Text made of texts (`concat`, `upper`, `lower`): an operand of another type is reported, or unsized when only a request shows it. */
export const textual =
  (key: string, operands: readonly Expression[], join: (texts: readonly string[]) => string): Compile =>
  (path, context) => {
    const at = (index: number): JsonPath => (key === "concat" ? [...path, key, index] : [...path, key]);
    const compiled = operands.map((operand, index) => typed(operand, at(index), context, "string"));
    return {
      run: (scope) => {
        const texts: string[] = [];
        for (const run of compiled) {
          const result = run(scope);
          if (result.kind !== "value") return result;
          if (typeof result.value !== "string") return unsized("not text");
          texts.push(result.value);
        }
        return valueOf(join(texts));
      },
      type: "string",
    };
  };

/** A whole number in its one decimal spelling, so that it can stand beside text; text stays as it is. */
export const textOf =
  (operand: Expression): Compile =>
  (path, context) => {
    const { run } = compileExpression(operand, [...path, "text"], context);
    return {
      run: (scope) => {
        const result = run(scope);
        if (result.kind !== "value" || typeof result.value === "string") return result;
        const { value } = result;
        return typeof value === "number" && Number.isSafeInteger(value)
          ? valueOf(String(value))
          : unsized("neither text nor a whole number");
      },
      type: "string",
    };
  };

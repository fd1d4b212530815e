import { z } from "zod";
import type { JsonObject } from "../../platform/json.ts";
import { deploymentFreezeBody } from "../deployment-freeze.ts";
import { ANSWER } from "./openapi-answers.ts";
import type { Parts } from "./openapi-pages.ts";

const PATH = "/_gate/v1/deployment/freeze";

const operation = (method: string, rest: JsonObject) => ({
  method,
  path: PATH,
  operation: { tags: ["bootstrap"], security: [{ bootstrapSecret: [] }], ...rest },
});

/** What the owner of the deployment can do to all tenants at once. */
export function deploymentOperations({ requestBody, answered, problemResponses, parameter, always, withBody }: Parts) {
  const cursor = parameter("query", "cursor", z.string());
  const steps =
    "Needs the deployment's bootstrap secret. Reaches 100 tenants per call: go on with next_cursor until it is null, and repeat the call while failed names tenants. The same call again is harmless.";
  return [
    operation("GET", {
      operationId: "showDeploymentFreeze",
      summary: "Whether writes of all tenants are frozen",
      description: "Needs the deployment's bootstrap secret.",
      responses: {
        200: answered(ANSWER.deploymentFreeze, "What was said last"),
        ...problemResponses(always),
      },
    }),
    operation("POST", {
      operationId: "freezeDeployment",
      summary: "Freezes writes of all tenants, those made from now on included",
      description: `${steps} No role of a tenant lifts it.`,
      parameters: [cursor],
      requestBody: requestBody(deploymentFreezeBody),
      responses: {
        200: answered(ANSWER.deploymentFreezeStep, "What became of these tenants"),
        ...problemResponses([...always, ...withBody, "already-decided"]),
      },
    }),
    operation("DELETE", {
      operationId: "unfreezeDeployment",
      summary: "Lifts the freeze of all tenants; freezes of their own stay",
      description: steps,
      parameters: [cursor],
      responses: {
        200: answered(ANSWER.deploymentFreezeStep, "What became of these tenants"),
        ...problemResponses([...always, "already-decided"]),
      },
    }),
  ];
}

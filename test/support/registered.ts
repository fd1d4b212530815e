import { text, type Answered } from "./answer.ts";
import type { BlackBox } from "./black-box.ts";

/** What was asked for with the deployment's secret, confirmed by the tenant's security person; fails where either was refused. */
export async function confirmed(box: BlackBox, path: string, asked: Answered): Promise<Answered> {
  if (asked.status !== 202) throw new Error(asked.text);
  const answered = await (
    await box.as("security")
  ).post(`/_gate/v1/${path}/confirm`, { digest: text(asked, "digest") });
  if (answered.status !== 200) throw new Error(answered.text);
  return answered;
}

import { describe, expect, it } from "vitest";
import {
  appendEntry,
  appendOpenEntry,
  backlog,
  confirmRows,
  endEntry,
  GENESIS,
  sealEntries,
  unconfirmedRows,
} from "../../src/audit/journal.ts";
import { chainOf, entry, journalRows, newLog, recordOf, START } from "./fixture.ts";

/** One half of a surrogate pair, as a cut in the middle of a character leaves it. */
const HALF = String.fromCharCode(0xd83d);

const ENDING = { outcome: "succeeded", upstream_status: 200, duration_ms: 12, detail: null };

describe("appending", () => {
  it("chains gaplessly from the first record on, and the hash covers every member", async () => {
    const { place, inside } = newLog();
    const rows = await inside((storage) => {
      for (const name of ["a", "b", "c"]) appendEntry(storage.sql, place, name, entry(name), START);
      return journalRows(storage);
    });
    expect(chainOf(rows)).toEqual(["a", "b", "c"]);
    const members = Object.keys(recordOf(rows[0]));
    expect(members).toEqual(
      expect.arrayContaining([...Object.keys(entry("a")), "tenant", "log", "sequence", "previous_hash"]),
    );
    for (const name of members.filter((member) => member !== "hash")) {
      const forged = { ...rows[1], record: JSON.stringify({ ...recordOf(rows[1]), [name]: "forged" }) };
      expect(() => chainOf([rows[0] ?? {}, forged]), name).toThrow();
    }
  });

  it("the same entry id again adds nothing: re-submitting after a lost answer is safe", async () => {
    const { place, inside } = newLog();
    const rows = await inside((storage) => {
      for (const name of ["a", "b", "a"]) appendEntry(storage.sql, place, name, entry(name), START);
      appendOpenEntry(storage.sql, "b", entry("another b"), true, START);
      return journalRows(storage);
    });
    expect(chainOf(rows)).toEqual(["a", "b"]);
  });

  it("is undone with the transaction that it belongs to, and leaves no gap", async () => {
    const { place, inside } = newLog();
    const rows = await inside((storage) => {
      appendEntry(storage.sql, place, "a", entry("a"), START);
      expect(() =>
        storage.transactionSync(() => {
          appendEntry(storage.sql, place, "b", entry("b"), START);
          throw new Error("the admission failed");
        }),
      ).toThrow("the admission failed");
      appendEntry(storage.sql, place, "c", entry("c"), START);
      return journalRows(storage);
    });
    expect(chainOf(rows)).toEqual(["a", "c"]);
  });
});

describe("an open entry", () => {
  it("is chained in its place with the ending that came for it", async () => {
    const { place, inside } = newLog();
    const rows = await inside((storage) => {
      const { sql } = storage;
      for (const name of ["a", "b"]) appendOpenEntry(sql, name, entry(name), false, START);
      appendOpenEntry(sql, "c", entry("c"), true, START);
      endEntry(sql, "b", ENDING);
      expect(sealEntries(sql, place, START - 1, 100)).toBe(3);
      expect(journalRows(storage).every((row) => row["hash"] === null)).toBe(true);
      endEntry(sql, "a", { ...ENDING, outcome: "failed" });
      expect(sealEntries(sql, place, START - 1, 100)).toBe(0);
      return journalRows(storage);
    });
    expect(chainOf(rows)).toEqual(["a", "b", "c"]);
    expect(rows.map((row) => recordOf(row)["outcome"])).toEqual(["failed", "succeeded", null]);
    expect(recordOf(rows[1])).toMatchObject(ENDING);
  });

  it("without ending is chained as not seen once it has waited, and a later ending changes nothing", async () => {
    const { place, inside } = newLog();
    const rows = await inside((storage) => {
      appendOpenEntry(storage.sql, "a", entry("a"), false, START);
      expect(sealEntries(storage.sql, place, START - 1, 100)).toBe(1);
      expect(sealEntries(storage.sql, place, START, 100)).toBe(0);
      const sealed = journalRows(storage);
      endEntry(storage.sql, "a", ENDING);
      endEntry(storage.sql, "never submitted", ENDING);
      expect(journalRows(storage)).toEqual(sealed);
      return sealed;
    });
    expect(recordOf(rows[0])["outcome"]).toBe("not-seen");
    chainOf(rows);
  });

  it("is chained a few at a time without losing its order", async () => {
    const { place, inside } = newLog();
    const names = Array.from({ length: 25 }, (_, index) => `request ${index}`);
    const rows = await inside((storage) => {
      for (const name of names) appendOpenEntry(storage.sql, name, entry(name), true, START);
      for (let round = 0; round < 5; round++) sealEntries(storage.sql, place, START, 5);
      return journalRows(storage);
    });
    expect(chainOf(rows)).toEqual(names);
  });

  it("with half a character in it stops neither itself nor what follows", async () => {
    const { place, inside } = newLog();
    const rows = await inside((storage) => {
      appendOpenEntry(storage.sql, "a", entry("a", { evidence: `cut ${HALF}` }), false, START);
      appendOpenEntry(storage.sql, "b", entry("b"), true, START);
      endEntry(storage.sql, "a", { ...ENDING, detail: HALF });
      sealEntries(storage.sql, place, START, 100);
      return journalRows(storage);
    });
    expect(chainOf(rows)).toEqual(["a", "b"]);
    expect(recordOf(rows[0])["evidence"]).toBe("cut \ufffd");
  });
});

describe("pruning", () => {
  it("keeps the head of the chain however old it is: the next record follows it", async () => {
    const { place, inside } = newLog();
    const rows = await inside((storage) => {
      for (const name of ["a", "b", "c"]) appendEntry(storage.sql, place, name, entry(name), START);
      const all = journalRows(storage);
      confirmRows(storage.sql, 3, START + 1);
      expect(journalRows(storage).map((row) => row["sequence"])).toEqual([3]);
      expect(backlog(storage.sql)).toEqual({ rows: 0, halted: null });
      appendEntry(storage.sql, place, "d", entry("d"), START + 2);
      return [...all, ...journalRows(storage).slice(1)];
    });
    expect(chainOf(rows)).toEqual(["a", "b", "c", "d"]);
    expect(recordOf(rows[0])["previous_hash"]).toBe(GENESIS);
  });

  it("keeps what D1 has not confirmed, and what may still be submitted again", async () => {
    const { place, inside } = newLog();
    await inside((storage) => {
      for (const [index, name] of ["a", "b", "c", "d"].entries()) {
        appendEntry(storage.sql, place, name, entry(name), START + index);
      }
      confirmRows(storage.sql, 3, START + 1);
      expect(journalRows(storage).map((row) => row["sequence"])).toEqual([2, 3, 4]);
      expect(unconfirmedRows(storage.sql, 100).map((row) => row.sequence)).toEqual([4]);
      confirmRows(storage.sql, 1, START + 100);
      expect(unconfirmedRows(storage.sql, 100).map((row) => row.sequence)).toEqual([4]);
    });
  });

  it("leaves no hole after the clock stepped back", async () => {
    const { place, inside } = newLog();
    await inside((storage) => {
      for (const [index, at] of [START, START - 9_000, START - 8_000, START + 1].entries()) {
        appendEntry(storage.sql, place, `${index}`, entry(`${index}`), at);
      }
      confirmRows(storage.sql, 4, START);
      expect(journalRows(storage).map((row) => row["sequence"])).toEqual([1, 2, 3, 4]);
    });
  });

  it("counts open and unconfirmed rows as backlog", async () => {
    const { place, inside } = newLog();
    await inside((storage) => {
      expect(backlog(storage.sql)).toEqual({ rows: 0, halted: null });
      appendEntry(storage.sql, place, "a", entry("a"), START);
      appendOpenEntry(storage.sql, "b", entry("b"), false, START);
      expect(backlog(storage.sql).rows).toBe(2);
      confirmRows(storage.sql, 1, 0);
      expect(backlog(storage.sql).rows).toBe(1);
    });
  });
});

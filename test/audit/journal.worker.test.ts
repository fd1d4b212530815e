import { describe, expect, it } from "vitest";
import { appendEntry, backlog, confirmRows, GENESIS, sealEntries, unconfirmedRows } from "../../src/audit/journal.ts";
import { appendOpen, chainOf, entry, journalRows, newLog, recordOf, START } from "./fixture.ts";

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
      appendOpen(storage.sql, ["b", "b"]);
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
      appendOpen(sql, ["a", "b"], true);
      appendOpen(sql, ["c"]);
      const endings = new Map([["b", ENDING]]);
      expect(sealEntries(sql, place, endings, START - 1, 100)).toBe(3);
      expect(journalRows(storage).every((row) => row["hash"] === null)).toBe(true);
      endings.set("a", { ...ENDING, outcome: "failed" });
      expect(sealEntries(sql, place, endings, START - 1, 100)).toBe(0);
      expect(endings.size).toBe(0);
      return journalRows(storage);
    });
    expect(chainOf(rows)).toEqual(["a", "b", "c"]);
    expect(rows.map((row) => recordOf(row)["outcome"])).toEqual(["failed", "succeeded", null]);
    expect(recordOf(rows[1])).toMatchObject(ENDING);
  });

  it("without ending is chained as not seen once it has waited, and a later ending changes nothing", async () => {
    const { place, inside } = newLog();
    const rows = await inside((storage) => {
      appendOpen(storage.sql, ["a"], true);
      expect(sealEntries(storage.sql, place, new Map(), START - 1, 100)).toBe(1);
      expect(sealEntries(storage.sql, place, new Map(), START, 100)).toBe(0);
      const sealed = journalRows(storage);
      const endings = new Map(["a", "never submitted"].map((name) => [name, ENDING]));
      sealEntries(storage.sql, place, endings, START, 100);
      expect(journalRows(storage)).toEqual(sealed);
      expect(endings.size, "kept for nothing").toBe(0);
      return sealed;
    });
    expect(recordOf(rows[0])["outcome"]).toBe("not-seen");
    chainOf(rows);
  });

  it("is chained a few at a time without losing its order", async () => {
    const { place, inside } = newLog();
    const names = Array.from({ length: 25 }, (_, index) => `request ${index}`);
    const rows = await inside((storage) => {
      appendOpen(storage.sql, names, true);
      const endings = new Map(names.map((name) => [name, ENDING]));
      for (let round = 0; round < 5; round++) sealEntries(storage.sql, place, endings, START - 1, 5);
      return journalRows(storage);
    });
    expect(chainOf(rows)).toEqual(names);
  });

  it("with half a character in it stops neither itself nor what follows", async () => {
    const { place, inside } = newLog();
    const rows = await inside((storage) => {
      appendOpen(storage.sql, ["a"], true, { evidence: `cut ${HALF}` });
      appendOpen(storage.sql, ["b"]);
      sealEntries(storage.sql, place, new Map([["a", { ...ENDING, detail: HALF.toWellFormed() }]]), START, 100);
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
      appendOpen(storage.sql, ["b"], true);
      expect(backlog(storage.sql).rows).toBe(2);
      confirmRows(storage.sql, 1, 0);
      expect(backlog(storage.sql).rows).toBe(1);
    });
  });
});

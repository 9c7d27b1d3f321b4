/** SQL statements as Postgres itself logged them (`log_statement=all`), by application and text. */
import { readFile, stat } from 'node:fs/promises';

/** Statement (white space folded) → how often. */
export type Counts = ReadonlyMap<string, number>;

const STATEMENT = /^([^|]*)\|LOG: {2}(?:statement|execute [^:]*): (.*)$/;

/** Position in the log from which `statementsSince` counts. */
export const endOf = async (log: string): Promise<number> => (await stat(log)).size;

/** What an application (its `application_name`) sent since `start`. */
export async function statementsSince(log: string, start: number, application: string): Promise<Counts> {
  const text = (await readFile(log)).subarray(start).toString('utf8');
  const counts = new Map<string, number>();
  // The lines of a statement behind its first one begin with a tab.
  for (const entry of text.replaceAll('\n\t', ' ').split('\n')) {
    const [, by, statement] = STATEMENT.exec(entry) ?? [];
    if (by !== application || statement === undefined) continue;
    const folded = statement.replaceAll(/\s+/g, ' ').trim();
    counts.set(folded, (counts.get(folded) ?? 0) + 1);
  }
  return counts;
}

/** Work that is shared by all orders: the outbox relay, the chain reader, the wallets' own bookkeeping. */
export const SHARED =
  /advisory_xact_lock|from events where position is null|network_cursors|observed_movements|into movements|stream_cursor|^select 'hash' as kind|older_than|make_interval/;

export const BRACKET = /^(begin|commit|rollback|savepoint|release|set )/i;

/** Sum of those for which `which` holds. */
export function total(counts: Counts, which: (statement: string) => boolean = () => true): number {
  return [...counts].reduce((sum, [statement, count]) => sum + (which(statement) ? count : 0), 0);
}

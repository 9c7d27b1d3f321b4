/** SQL statements as Postgres itself logged them (`log_statement=all`), by application and text. */
import { readFile, readdir, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** Statement (white space folded) → how often. */
export type Counts = ReadonlyMap<string, number>;

const STATEMENT = /^([^|]*)\|LOG: {2}(?:statement|execute [^:]*): (.*)$/;

/** Position in the log from which `statementsSince` counts. */
export const endOf = async (log: string): Promise<number> => (await stat(log)).size;

const fold = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** What an application (its `application_name`) sent since `start`. */
export async function statementsSince(log: string, start: number, application: string): Promise<Counts> {
  const text = (await readFile(log)).subarray(start).toString('utf8');
  const counts = new Map<string, number>();
  // The lines of a statement behind its first one begin with a tab.
  for (const entry of text.replaceAll('\n\t', ' ').split('\n')) {
    const [, by, statement] = STATEMENT.exec(entry) ?? [];
    if (by !== application || statement === undefined) continue;
    const folded = fold(statement);
    counts.set(folded, (counts.get(folded) ?? 0) + 1);
  }
  return counts;
}

/** Work that is shared by all orders: the outbox relay, the chain reader, the wallets' own bookkeeping, the worker's fence. */
export const SHARED =
  /temporal_clusters|advisory_xact_lock|from events where position is null|network_cursors|observed_movements|into movements|stream_cursor|^select 'hash' as kind|older_than|make_interval/;

export const BRACKET = /^(begin|commit|rollback|savepoint|release|set )/i;

/** Sum of those for which `which` holds. */
export function total(counts: Counts, which: (statement: string) => boolean = () => true): number {
  return [...counts].reduce((sum, [statement, count]) => sum + (which(statement) ? count : 0), 0);
}

const FOLDERS = ['activities', 'api', 'db', 'worker'];
/** Shorter pieces of a source are in many statements. */
const PIECE_MIN = 16;

/** Which module a statement was written in: whose longest piece of text it begins with, else shares with it. */
export async function moduleFinder(): Promise<(statement: string) => string> {
  const pieces: { module: string; text: string }[] = [];
  for (const folder of FOLDERS) {
    const root = fileURLToPath(new URL(`../../../${folder}/`, import.meta.url));
    for (const file of await readdir(root, { recursive: true }))
      if (file.endsWith('.ts') && !file.startsWith('migrations'))
        for (const text of (await readFile(`${root}${file}`, 'utf8')).split(/`|\$\{|\}/))
          if (fold(text).length >= PIECE_MIN) pieces.push({ module: `${folder}/${file}`, text: fold(text) });
  }
  pieces.sort((one, other) => other.text.length - one.text.length);
  return (statement) =>
    (pieces.find(({ text }) => statement.startsWith(text)) ?? pieces.find(({ text }) => statement.includes(text)))
      ?.module ?? 'elsewhere';
}

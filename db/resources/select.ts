/** Fragments that the readers of resources share. */
import { type RawBuilder, sql } from 'kysely';
import { formatAmount } from '../../domain/money.ts';

/** A timestamptz column as the API writes it, `2026-11-22T14:00:00.000Z`; `column` is code, never input. */
export const iso = (column: string): RawBuilder<string> =>
  sql.raw(`to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`);

/** Stroops as the database sends them (text) in the form of the wire. */
export const amountText = (stroops: string): string => formatAmount(BigInt(stroops));

export const allOf = (conditions: readonly RawBuilder<unknown>[]): RawBuilder<unknown> =>
  conditions.length === 0 ? sql`true` : sql.join([...conditions], sql` and `);

/** Where a page begins: after this row, in the order newest first. */
export interface PageCursor {
  readonly at: string;
  readonly id: string;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor: PageCursor | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
}

/** Rows after the cursor, newest first; creation time and id together are unique, so inserts do not shift pages. */
export const beyond = (alias: string, cursor: PageCursor | null): RawBuilder<unknown>[] =>
  cursor === null
    ? []
    : [sql`(${sql.raw(`${alias}.created_at, ${alias}.id`)}) < (${cursor.at}::timestamptz, ${cursor.id})`];

/** One row more than asked for tells whether there is a next page. */
export const newestFirst = (alias: string, limit: number): RawBuilder<unknown> =>
  sql`order by ${sql.raw(`${alias}.created_at desc, ${alias}.id desc`)} limit ${limit + 1}`;

export const pageOf = <T>(rows: readonly T[], limit: number): Page<T> => ({
  items: rows.slice(0, limit),
  hasMore: rows.length > limit,
});

export interface CreatedBetween {
  readonly createdAfter?: string | undefined;
  readonly createdBefore?: string | undefined;
}

export function createdBetween(alias: string, filter: CreatedBetween): RawBuilder<unknown>[] {
  const column = sql.raw(`${alias}.created_at`);
  return [
    ...(filter.createdAfter === undefined ? [] : [sql`${column} > ${filter.createdAfter}::timestamptz`]),
    ...(filter.createdBefore === undefined ? [] : [sql`${column} < ${filter.createdBefore}::timestamptz`]),
  ];
}

export const metadataHas = (alias: string, metadata: Readonly<Record<string, string>> | undefined) =>
  metadata === undefined || Object.keys(metadata).length === 0
    ? []
    : [sql`${sql.raw(`${alias}.metadata`)} @> ${JSON.stringify(metadata)}::jsonb`];

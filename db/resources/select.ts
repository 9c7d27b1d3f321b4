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

/** Rows whose column has this value, or one of these; all when none is given. `column` is code, never input. */
export const only = (column: string, wanted: string | readonly string[] | undefined): RawBuilder<unknown>[] => {
  if (wanted === undefined) return [];
  const values = sql.raw(column);
  return [typeof wanted === 'string' ? sql`${values} = ${wanted}` : sql`${values} = any(${[...wanted]}::text[])`];
};

export interface CreatedBetween {
  readonly created_after?: string | undefined;
  readonly created_before?: string | undefined;
}

export function createdBetween(alias: string, query: CreatedBetween): RawBuilder<unknown>[] {
  const column = sql.raw(`${alias}.created_at`);
  return [
    ...(query.created_after === undefined ? [] : [sql`${column} > ${query.created_after}::timestamptz`]),
    ...(query.created_before === undefined ? [] : [sql`${column} < ${query.created_before}::timestamptz`]),
  ];
}

export const metadataHas = (alias: string, metadata: Readonly<Record<string, string>> | undefined) =>
  metadata === undefined || Object.keys(metadata).length === 0
    ? []
    : [sql`${sql.raw(`${alias}.metadata`)} @> ${JSON.stringify(metadata)}::jsonb`];

/** What somebody has to look at on the resource of this row; null when nobody has to. */
export const attentionOf = (alias: string): RawBuilder<unknown> => sql`(
  select json_build_object('id', a.id, 'reason', a.reason, 'since', ${iso('a.since')},
    'allowed_repairs', a.allowed_repairs)
  from attention a where a.resource_id = ${sql.raw(`${alias}.id`)} and a.cleared_at is null order by a.since limit 1)`;

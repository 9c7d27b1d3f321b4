/**
 * Taking back what was booked of a transaction while nobody knew that it was ours: its movements stood in the books as
 * somebody's deposit, top-up or loss. Transfers are never deleted, so each gets its mirror image, of the same ledger.
 */
import { sql } from 'kysely';
import { type AccountKind, type AccountRef, type Posted, type Sql, type TransferCode, post } from './post.ts';

interface Side {
  readonly kind: AccountKind;
  readonly owner: string;
  readonly hot: boolean;
}
interface Booked {
  readonly marketplaceId: string;
  readonly asset: string;
  readonly amount: string;
  readonly code: TransferCode;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly transactionHash: string;
  readonly ledgerSeq: string | null;
  readonly debit: Side;
  readonly credit: Side;
}

export interface Misread {
  /** names the transaction that is ours after all */
  readonly transactionId: string;
  /** inner and outer: a stream knows either */
  readonly hashes: readonly string[];
  /** wallets, escrows and orders on whose accounts it may be booked */
  readonly owners: readonly string[];
  readonly codes: readonly TransferCode[];
}

const side = (account: string) => sql`
  jsonb_build_object('kind', ${sql.ref(`${account}.kind`)}, 'owner', ${sql.ref(`${account}.owner_id`)},
    'hot', ${sql.ref(`${account}.hot`)})`;

/** What is booked of these transactions, in the order of the books. */
async function booked(trx: Sql, { hashes, owners, codes }: Misread): Promise<Booked[]> {
  const { rows } = await sql<Booked>`
    with mine as (select id from ledger_accounts where owner_id = any(${[...owners]}::text[]))
    select t.marketplace_id as "marketplaceId", d.asset, t.amount::text as amount, t.code,
      t.resource_type as "resourceType", t.resource_id as "resourceId", t.transaction_hash as "transactionHash",
      t.ledger_seq::text as "ledgerSeq", ${side('d')} as debit, ${side('c')} as credit
    from ledger_transfers t
    join ledger_accounts d on d.id = t.debit_account
    join ledger_accounts c on c.id = t.credit_account
    where t.kind = 'POSTED' and t.transaction_hash = any(${[...hashes]}::text[]) and t.code = any(${[...codes]}::text[])
      and (t.debit_account in (select id from mine) or t.credit_account in (select id from mine))
    order by t.seq`.execute(trx);
  return rows;
}

/** Whether anything of it is in the books under one of these codes. */
export const isBooked = async (trx: Sql, misread: Misread): Promise<boolean> => (await booked(trx, misread)).length > 0;

/**
 * Posts the mirror image of everything that is booked of the transaction under these codes; nothing there is fine. Once
 * per transaction: whoever calls marks it in the same database transaction.
 * @throws InsufficientFunds when what it seemed to bring was spent
 */
export async function mirror(trx: Sql, misread: Misread): Promise<Posted | null> {
  const rows = await booked(trx, misread);
  const [first] = rows;
  if (first === undefined) return null;
  const account = ({ kind, owner, hot }: Side, asset: string): AccountRef => ({
    kind,
    ownerId: owner,
    asset,
    ...(hot ? { hot } : {}),
  });
  return post(trx, {
    key: { workflowId: `transaction/${misread.transactionId}`, step: `not ${misread.codes.join(', ')}` },
    marketplaceId: first.marketplaceId,
    transfers: rows.map((row) => ({
      kind: 'POSTED',
      debit: account(row.credit, row.asset),
      credit: account(row.debit, row.asset),
      amount: BigInt(row.amount),
      code: row.code,
      resource: { type: row.resourceType, id: row.resourceId },
      ...(row.ledgerSeq === null
        ? {}
        : { chain: { transactionHash: row.transactionHash, ledgerSeq: Number(row.ledgerSeq) } }),
    })),
  });
}
